"""Adversarial training by one step: N-FGSM, and a look out for catastrophic overfitting."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import NonNegativeFloat, NonNegativeInt

from attacks.evasion import Radius, crafting, input_gradient
from attacks.evasion.fgsm import FGSM
from attacks.evasion.pgd import PGD
from defenses import Defense, Losses, Term

if TYPE_CHECKING:
    from torch import Tensor, nn

ONE_STEP, MANY_STEPS = "withstand_one_step", "withstand_pgd10"  # shares of the watched examples
FALLEN, APART = 0.5, 0.2  # of what withstood most; and between the two shares
ERRORS = 3  # by which shares of few examples differ before it is no chance


class FastAT(Defense):
    """Train on images one signed step from a noisy start, which may lie outside the eps ball.

    Source: de Jorge et al. (2022), https://arxiv.org/abs/2202.01181, N-FGSM, and its official code:
    x' = x + n + step_size sign(d CE(x + n) / dx), n uniform in [-noise eps, noise eps], both x + n
    and x' clipped to [0, 1] and neither to the ball; noise 2, step_size eps. That code crafts in
    train mode; here in eval mode unless `craft_in: train`, as the other defenses do.

    Training by one step can break within an epoch: the network then withstands that one step and
    nothing else (Wong et al., https://arxiv.org/abs/2001.03994). So after each epoch `watched`
    members are attacked by FGSM and by PGD-10, and what `warning` makes of it is reported.

    YAML: {name: fast_at, eps: 8/255}
    YAML: {name: fast_at, eps: 8/255, noise: 1.0, step_size: 10/255, craft_in: train, watched: 0}
    """

    name: Literal["fast_at"] = "fast_at"
    eps: Radius = 8 / 255
    step_size: Radius | None = None  # None: eps
    noise: NonNegativeFloat = 2.0  # of the start, uniform within so many eps
    craft_in: Literal["eval", "train"] = "eval"
    watched: NonNegativeInt = 128  # members attacked after each epoch; 0: nobody looks

    @property
    def terms(self) -> frozenset[Term]:
        return frozenset({"total", "adversarial"})

    @property
    def num_watched(self) -> int:
        return self.watched

    def craft(self, model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        """Return images one step up the cross-entropy; see the contract for shapes."""
        import torch
        import torch.nn.functional as F

        n, channels, height, width = images.shape
        # Drawn into a contiguous buffer, 8 times faster than channels_last.
        noise = torch.empty(n, height, width, channels, dtype=images.dtype, device=images.device)
        noise.uniform_(-self.noise * self.eps, self.noise * self.eps)
        start = (images + noise.permute(0, 3, 1, 2)).clamp_(0, 1).requires_grad_(True)
        with torch.enable_grad(), crafting(model, self.craft_in == "train") as network:
            loss = F.cross_entropy(network(start), labels, reduction="sum")
            ascent = input_gradient(loss, start).sign()
        step_size = self.eps if self.step_size is None else self.step_size
        return (start.detach() + step_size * ascent).clamp_(0, 1)

    def losses_at(
        self, model: nn.Module, images: Tensor, adversarial: Tensor, labels: Tensor
    ) -> Losses:
        """Return the cross-entropy at the adversarial images; see the contract for shapes."""
        import torch.nn.functional as F

        loss = F.cross_entropy(model(adversarial), labels, reduction="none")
        return Losses(loss, adversarial=loss)

    def watch(self, model: nn.Module, images: Tensor, labels: Tensor) -> Mapping[str, float]:
        """Return the shares that withstand one step (FGSM) and ten (PGD), each in [0, 1].

        A network that answers alike to examples of several classes withstands nothing.
        """
        import torch

        many = PGD(eps=self.eps, step_size=self.eps / 4, num_steps=10)
        shares = {}
        for name, attack in ((ONE_STEP, FGSM(eps=self.eps)), (MANY_STEPS, many)):
            moved = attack.perturb(model, images, labels)
            with torch.no_grad(), crafting(model) as network:
                answers = network(moved).argmax(1)
            alike = len(answers.unique()) == 1 < len(labels.unique())
            shares[name] = 0.0 if alike else (answers == labels).double().mean().item()
        return shares

    def warning(self, history: Sequence[Mapping[str, float]]) -> str:
        """Return that training by one step broke, and in which epoch; "" where it did not.

        It has where fewer than half as many withstand PGD-10 as did after the best epoch so far,
        and one step is withstood by a fifth of the examples more: before, both fall together. Of
        few watched examples it takes larger differences than these, which chance makes too.
        """
        most = 0.0
        for epoch, line in enumerate(history):
            one_step, many_steps = line.get(ONE_STEP, 0.0), line.get(MANY_STEPS, 0.0)
            fell = many_steps < FALLEN * most and self._differ(many_steps, most)
            apart = one_step > many_steps + APART and self._differ(many_steps, one_step)
            if fell and apart:
                last = history[-1]
                return (
                    f"catastrophic overfitting in epoch {epoch + 1}: of {self.watched} members "
                    f"{many_steps:.0%} withstand PGD-10 where {most:.0%} did before, and "
                    f"{one_step:.0%} withstand one step (after the last epoch "
                    f"{last[MANY_STEPS]:.0%} and {last[ONE_STEP]:.0%}); raise `noise`, lower `eps` "
                    "or the learning rate, or take an earlier epoch (`checkpoint: best`)"
                )
            most = max(most, many_steps)
        return ""

    def _differ(self, low: float, high: float) -> bool:
        """Whether two shares of the watched examples differ by more than chance."""
        share = (high * self.watched + 1) / (self.watched + 2)  # of all and none, there is an error
        return high - low > ERRORS * math.sqrt(share * (1 - share) / self.watched)
