"""SELENA: a model taught about each member by sub-models that were trained without it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from attacks.evasion import plain
from defenses import Defense, Kit, Losses, Term

if TYPE_CHECKING:
    from torch import Tensor, nn


class SELENA(Defense):
    """Split-AI, then distillation, in one Run.

    Source: Tang et al. (2022), https://arxiv.org/abs/2110.08324, and its official code. Each member
    is left out of `left_out` of `num_models` sub-models, drawn at random; the mean of their class
    probabilities for it is its soft label, and the released model learns these alone. Its losses
    are the cross-entropy of a sub-model in the first part, and to the soft label in the second.

    In the first `split_epochs` epochs each sub-model learns from its own members of every batch; in
    the rest the released model does from all. The learning rate's schedule runs through once in
    each. An epoch of the first part costs `num_models - left_out` times one of no defense, of the
    second about 1 + left_out / 3, and the weights that are kept `num_models + 1` times as much.

    That code takes soft labels of the plain image once; here they are those of the image that the
    released model sees, crop and flip included. Its sub-models are each chosen by the best test
    accuracy, here they are the last ones.

    YAML: {name: selena, num_models: 3, left_out: 1}
    """

    name: Literal["selena"] = "selena"
    num_models: Annotated[int, Field(ge=2)] = 25
    left_out: PositiveInt = 10  # of so many sub-models, each member
    split_epochs: PositiveInt | None = None  # of all epochs; None: half of them

    @model_validator(mode="after")
    def _some_see_each(self) -> Self:
        if self.left_out >= self.num_models:
            raise ValueError(
                f"left_out: {self.left_out} of {self.num_models} sub-models: none would be trained "
                "on anything; leave each example out of fewer than all"
            )
        return self

    @property
    def terms(self) -> frozenset[Term]:
        return frozenset({"total", "natural"})

    @property
    def one_worker(self) -> bool:
        """Most networks get no gradient in a step, and the workers of a Run would wait for it."""
        return True

    @property
    def own_batches(self) -> bool:
        return True

    def phases(self, epochs: int) -> tuple[int, ...]:
        """Return the epochs of the sub-models, and those of the released model."""
        split = min(self.split_epochs or epochs // 2, epochs)
        return tuple(n for n in (split, epochs - split) if n)

    def resolved(self, num_members: int, batch_size: int, epochs: int) -> Self:
        """Return it with its number of epochs for the sub-models, and some are left."""
        split = self.split_epochs or epochs // 2
        if not 0 < split < epochs:
            raise ValueError(
                f"selena trains sub-models for {split} of {epochs} epochs, and the released model "
                "for the rest; give training.epochs more, or split_epochs fewer"
            )
        return self.model_copy(update={"split_epochs": split})

    def in_short(self) -> Self:
        """Return it with three sub-models: then one at least sees two of two images."""
        return self.model_copy(update={"num_models": min(3, self.num_models), "left_out": 1})

    def build(self, make_model: Callable[[], nn.Module]) -> nn.Module:
        """Return the released network, which answers, with the sub-models beside it."""
        from defenses._split_ai import SplitAI

        return SplitAI(make_model, self.num_models)

    def protect(self, kit: Kit) -> Kit:
        """Return the kit with batches of one sub-model after the other, then of all members."""
        import torch

        from defenses._split_ai import RELEASED, Part, left_out

        network: Any = plain(kit.model)
        without = left_out(len(kit.members), self.num_models, self.left_out, kit.seed)
        rows = torch.full((int(kit.members.max()) + 1,), -1)
        rows[kit.members] = torch.arange(len(kit.members))

        def told(batch: Tensor, part: Part) -> Iterator[Tensor]:
            network.part = part
            yield batch

        def steps(epoch: int) -> Iterator[Iterator[Tensor]]:
            for parts in kit.steps(epoch):
                batch = torch.cat(list(parts))
                chosen = without[rows[batch]]
                if epoch >= (self.split_epochs or 0):
                    yield told(batch, Part(RELEASED, chosen))
                    continue
                yield (
                    seen
                    for k in range(self.num_models)
                    if len(own := batch[~chosen[:, k]]) > 1  # BatchNorm wants two
                    for seen in told(own, Part(k + 1))
                )

        return kit._replace(steps=steps)

    def losses_at(
        self, model: nn.Module, images: Tensor, adversarial: Tensor, labels: Tensor
    ) -> Losses:
        """Return the losses of the network whose turn it is; see the contract for shapes."""
        import torch

        from defenses._split_ai import RELEASED, Part

        network: Any = plain(model)
        if network.part is not None:
            return self._losses_of(network, network.part, images, labels)
        # Outside of training nobody says whose turn it is: all learn, from everybody.
        everybody = torch.ones(len(images), self.num_models, dtype=torch.bool)
        every = [Part(k + 1) for k in range(self.num_models)] + [Part(RELEASED, everybody)]
        found = [self._losses_of(network, part, images, labels) for part in every]
        natural = [losses.natural for losses in found if losses.natural is not None]
        return Losses(
            torch.stack([losses.total for losses in found]).mean(0),
            natural=torch.stack(natural).mean(0),
        )

    def _losses_of(self, network: Any, part: Any, images: Tensor, labels: Tensor) -> Losses:
        """The cross-entropy of a sub-model, or of the released one to what it is taught."""
        import torch.nn.functional as F

        from defenses._split_ai import taught

        soft = None if part.left_out is None else taught(network, images, part.left_out)
        with network.answered_by(part.network, training=True):
            logits = network(images)
        natural = F.cross_entropy(logits, labels, reduction="none")
        if soft is None:
            return Losses(natural, natural=natural)
        return Losses(F.cross_entropy(logits, soft, reduction="none"), natural=natural)
