"""TRADES: natural accuracy and the stability of the answer, traded by one number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import NonNegativeFloat

from attacks.evasion import Radius, crafting
from attacks.evasion.pgd import PGD
from defenses import Defense, Losses, Term

if TYPE_CHECKING:
    from torch import Tensor, nn


class InnerPGD(PGD):
    """PGD as the official TRADES code starts it: normal noise of std 0.001, not clamped."""

    start: Literal["uniform", "normal", "none"] = "normal"
    clamp_start: bool = False
    step_size: Radius = 0.007


class TRADES(Defense):
    """CE(x) + beta KL(p(x) || p(x')), x' maximising the KL.

    Source: Zhang et al., https://arxiv.org/abs/1901.08573, and its official code: the gradient
    flows through p(x) too. That code runs the natural images twice through the network in train
    mode and recomputes p(x) at each inner step; here once each, which changes only BatchNorm's
    averages.
    DeMem's official code starts from uniform noise instead: `attack.start: uniform`.

    YAML: {name: trades, beta: 6.0, attack: {eps: 8/255, step_size: 0.007, num_steps: 10}}
    """

    name: Literal["trades"] = "trades"
    beta: NonNegativeFloat = 6.0
    attack: InnerPGD = InnerPGD()

    @property
    def terms(self) -> frozenset[Term]:
        return frozenset({"total", "natural", "adversarial"})

    def craft(self, model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        """Return images that maximise the KL; see the contract for shapes."""
        import torch

        with torch.no_grad(), crafting(model, self.attack.craft_in == "train") as network:
            target = network(images).log_softmax(1)
        return self.attack.maximise(
            model, images, lambda logits: _kl(target, logits.log_softmax(1))
        )

    def losses_at(
        self, model: nn.Module, images: Tensor, adversarial: Tensor, labels: Tensor
    ) -> Losses:
        """Return total, and the cross-entropies at x and at x'; see the contract for shapes."""
        import torch.nn.functional as F

        natural_logits, adversarial_logits = model(images), model(adversarial)
        natural = F.cross_entropy(natural_logits, labels, reduction="none")
        kl = _kl(natural_logits.log_softmax(1), adversarial_logits.log_softmax(1))
        return Losses(
            natural + self.beta * kl,
            natural=natural,
            adversarial=F.cross_entropy(adversarial_logits, labels, reduction="none"),
        )


def _kl(p: Tensor, q: Tensor) -> Tensor:
    """KL(p || q) of each row, (N,), from (N, C) log-probabilities: a sum over classes, no mean."""
    import torch.nn.functional as F

    return F.kl_div(q, p, reduction="none", log_target=True).sum(1)
