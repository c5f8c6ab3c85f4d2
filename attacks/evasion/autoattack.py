"""AutoAttack in the L-infinity ball: APGD and FAB of its authors' package, and a whole Square."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import PositiveInt, PrivateAttr, model_validator

from attacks.evasion import EvasionAttack, Radius, crafting
from attacks.evasion.square import Square

if TYPE_CHECKING:
    from torch import Tensor, nn

    Predict = Callable[[Tensor], Tensor]  # (n, channels, H, W) -> (n, C) logits

DRAWS = 20  # of the authors' version for randomized models
QUERIES = 5000  # of Square, as in their package


class AutoAttack(EvasionAttack):
    """Several attacks with nothing to tune; an image is robust if it withstands all of them.

    Source: Croce and Hein (2020), https://arxiv.org/abs/2003.01690, with their package's settings.

    `standard` runs APGD on the cross-entropy, then against each of the 9 most likely wrong classes
    APGD on the targeted DLR loss and FAB, then Square, each on what withstood those before it.
    square: `every_position` is `attacks/evasion/square.py`. `package` is the authors', whose
        squares never begin at the last place: after its first stripes it changes neither the last
        row nor the last column. On a model without gradients that looks at these alone it left
        65.6 % standing, and 4.7 % on the same model mirrored. So the default is not the published
        ensemble, and is named so in reports. It makes as many queries, by the paper's schedule
        rescaled to them; the package takes that of 10,000.

    The targeted DLR loss compares four logits. With 2 or 3 classes the attacks are APGD on the
    cross-entropy, APGD on the untargeted DLR loss (3 classes only), untargeted FAB, and Square:
    such a figure is not the published AutoAttack, and the smaller suite may be weaker.

    `rand` is for randomized models: APGD on the cross-entropy and, from 3 classes on, on the
    untargeted DLR loss, each step along the mean gradient of `draws` draws. The package then
    keeps a point because one draw of the noise went wrong there. Here its candidates are judged
    anew by their mean margin over `draws` fresh draws, and each image gets the most harmful one.

    On a model that is not randomized `rand` would be the weaker check, so `standard` is run.

    YAML: {name: autoattack, eps: 8/255}
    """

    portion: ClassVar[int] = 100  # minutes, on a network of some size and a CPU

    name: Literal["autoattack"] = "autoattack"
    eps: Radius = 8 / 255
    version: Literal["standard", "rand"] = "standard"
    square: Literal["every_position", "package"] = "every_position"  # of `standard`
    draws: PositiveInt = DRAWS  # of a randomized model's noise, averaged in each step of `rand`

    _num_steps: int | None = PrivateAttr(None)  # of each attack; None: as many as published
    _num_queries: int = PrivateAttr(QUERIES)

    @model_validator(mode="after")
    def _only_rand_draws(self) -> Self:
        if self.version == "standard" and self.draws != DRAWS:
            raise ValueError(
                f"draws: {self.draws} belongs to version rand, and version standard averages no "
                "draws; leave out draws, or write version: rand"
            )
        return self

    @property
    def averages_draws(self) -> bool:
        return self.version == "rand" and self.draws > 1

    @property
    def remark(self) -> str:
        if self.version == "rand" or self.square == "package":
            return ""
        return (
            "AutoAttack with a Square that reaches every position, where that of the published "
            "ensemble spares the last row and column"
        )

    def settled(self, randomized: bool) -> Self:
        return self if randomized else type(self)(eps=self.eps, square=self.square)

    def in_short(self) -> Self:
        short = super().in_short()
        short._num_steps, short._num_queries = 1, 3
        return short

    def perturb(self, model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        """Return the images found, and those for which none was found as they are.

        Raises:
            ValueError: the model has fewer than two classes.
        """
        import pyautoattack
        import torch

        with torch.no_grad(), crafting(model) as network, _frozen(network):

            def predict(moved: Tensor) -> Tensor:
                return network(moved.to(images.dtype)).float()

            start = images.float().contiguous()  # the package reshapes what channels_last forbids
            num_classes = predict(start[:1]).shape[1]
            if num_classes < 2:
                raise ValueError(
                    f"AutoAttack needs logits of two classes or more, got {num_classes}; "
                    "give the model one output per class"
                )
            suite: Any = pyautoattack.AutoAttack(
                predict,  # pyright: ignore[reportArgumentType]
                eps=self.eps,
                seed=int(torch.randint(2**31, ())),  # its own default is the time
                version=self.version,
                device=images.device,
            )
            if self._num_steps:
                _shorten(suite, self._num_steps, self._num_queries)
            suite.apgd.eot_iter = self.draws if self.version == "rand" else 1
            # Else it warns of zero gradients, on stderr: Square is there for such models.
            suite.apgd.logger = suite.apgd_targeted.logger = logging.Logger("", logging.CRITICAL)
            run = self._rand if self.version == "rand" else self._standard
            found = run(suite, predict, start, labels, num_classes)
            low, high = (images - self.eps).clamp_(0, 1), (images + self.eps).clamp_(0, 1)
            return torch.clamp(found.to(images.dtype), low, high)

    def _standard(
        self, suite: Any, predict: Predict, images: Tensor, labels: Tensor, num_classes: int
    ) -> Tensor:
        """One attack after the other, each on the images that are still answered rightly."""
        import torch

        worst = images.clone()
        left = (predict(images).argmax(1) == labels).nonzero()[:, 0]
        # The attacks seed the global generators; the caller's own draws must not follow from that.
        with torch.random.fork_rng([images.device] if images.is_cuda else []):
            square = Square(eps=self.eps, num_queries=self._num_queries)
            ours = partial(square.search, predict)
            last = suite.square.perturb if self.square == "package" else ours
            for attack in chain(_gradient_attacks(suite, num_classes), [last]):
                if len(left) == 0:
                    break
                torch.manual_seed(suite.seed)  # what an attack draws hangs on no other
                low, high = images[left] - self.eps, images[left] + self.eps
                found = torch.clamp(attack(images[left], labels[left]), low, high)
                fooled = predict(found).argmax(1) != labels[left]
                worst[left[fooled]] = found[fooled]
                left = left[~fooled]
        return worst

    def _rand(
        self, suite: Any, predict: Predict, images: Tensor, labels: Tensor, num_classes: int
    ) -> Tensor:
        """The most harmful, by its mean margin, of each image's candidates."""
        import torch

        worst, harm = images, self._mean_margin(predict, images, labels)
        for loss in ("ce", "dlr") if num_classes > 2 else ("ce",):
            suite.apgd.loss = loss
            suite.apgd.init_hyperparam(images)
            # `perturb` would leave alone what the first draw of the noise already gets wrong.
            highest, _, _, erring = suite.apgd.attack_single_run(images, labels)
            for found in (highest, erring):
                again = self._mean_margin(predict, found, labels)
                worst = torch.where((again > harm).view(-1, 1, 1, 1), found, worst)
                harm = torch.maximum(again, harm)
        return worst

    def _mean_margin(self, predict: Predict, images: Tensor, labels: Tensor) -> Tensor:
        """How far the best wrong class is above the true one, (N,), averaged over draws."""
        import torch

        total = torch.zeros(len(images), device=images.device)
        for _ in range(self.draws):
            logits = predict(images)
            true = logits.gather(1, labels[:, None]).squeeze(1)
            total += logits.scatter(1, labels[:, None], -math.inf).amax(1) - true
        return total / self.draws


def _gradient_attacks(suite: Any, num_classes: int) -> Iterator[Callable[[Tensor, Tensor], Tensor]]:
    """The package's attacks of the standard version, each made ready just before it is run."""
    suite.apgd.loss = "ce"
    yield suite.apgd.perturb
    if num_classes >= 4:
        suite.apgd_targeted.n_target_classes = min(9, num_classes - 1)
        yield suite.apgd_targeted.perturb
    elif num_classes == 3:
        suite.apgd.loss = "dlr"
        yield suite.apgd.perturb
    suite.fab.targeted = num_classes >= 4
    suite.fab.n_target_classes = min(9, num_classes - 1)
    yield suite.fab.perturb


def _shorten(suite: Any, num_steps: int, num_queries: int) -> None:
    """Give each attack so few steps and one start."""
    for attack in (suite.apgd, suite.apgd_targeted, suite.fab):
        attack.n_iter, attack.n_restarts = num_steps, 1
    suite.square.n_queries = num_queries


@contextmanager
def _frozen(network: nn.Module) -> Iterator[None]:
    """Let no parameter take a gradient: FAB calls `backward`, which would leave one on each."""
    trained = [p for p in network.parameters() if p.requires_grad]
    for p in trained:
        p.requires_grad_(False)
    try:
        yield
    finally:
        for p in trained:
            p.requires_grad_(True)
