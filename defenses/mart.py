"""MART: adversarial training that asks most of the examples that the model gets wrong."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from pydantic import NonNegativeFloat

from defenses import Defense, Losses, Term
from defenses.trades import InnerPGD

if TYPE_CHECKING:
    from torch import Tensor, nn


class MART(Defense):
    """BCE(x') + beta KL(p(x) || p(x')) (1 - p_y(x)), x' maximising the cross-entropy.

    BCE is the cross-entropy and a margin: CE(x') - log(1 - max of p_k(x') over k != y).
    Source: Wang et al. (2020), https://openreview.net/forum?id=rklOg6EFwS, and its official code:
    the gradient flows through p(x) and through the factor 1 - p_y(x) too; beta is 6 there, and 5
    for ResNet-18; eps is 0.031. That code adds 1e-4 and 1e-12 inside the margin's logarithm, 1e-12
    to p(x') and 1e-7 to the factor. Its margin so ends at 9.2 nats. Here logarithms come from
    logits: nothing is added, and every term stays finite.

    `boosted: false` leaves the margin out; at beta 0 that is PGD-AT on the same attack, but for
    BatchNorm's averages, which also see the natural images.

    YAML: {name: mart, beta: 6.0, attack: {eps: 8/255, step_size: 0.007, num_steps: 10}}
    """

    name: Literal["mart"] = "mart"
    beta: NonNegativeFloat = 6.0
    attack: InnerPGD = InnerPGD()  # the official codes of MART and TRADES start alike
    boosted: bool = True

    @property
    def terms(self) -> frozenset[Term]:
        return frozenset({"total", "natural", "adversarial"})

    def craft(self, model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        """Return images that maximise the cross-entropy; see the contract for shapes."""
        return self.attack.perturb(model, images, labels)

    def losses_at(
        self, model: nn.Module, images: Tensor, adversarial: Tensor, labels: Tensor
    ) -> Losses:
        """Return total, and the cross-entropies at x and at x'; see the contract for shapes."""
        import torch
        import torch.nn.functional as F

        natural_logits, adversarial_logits = model(images), model(adversarial)
        ce = F.cross_entropy(adversarial_logits, labels, reduction="none")
        p, q = natural_logits.log_softmax(1), adversarial_logits.log_softmax(1)
        kl = F.kl_div(q, p, reduction="none", log_target=True).sum(1)
        wrong = -torch.expm1(p.gather(1, labels[:, None]).squeeze(1))  # 1 - p_y without cancelling
        total = ce + self.beta * kl * wrong
        return Losses(
            total + _margin(q, labels) if self.boosted else total,
            natural=F.cross_entropy(natural_logits, labels, reduction="none"),
            adversarial=ce,
        )


def _margin(log_p: Tensor, labels: Tensor) -> Tensor:
    """-log(1 - p_k), (N,), of the likeliest wrong class k: the rest of the mass, summed as logs."""
    wrong = log_p.detach().scatter(1, labels[:, None], -math.inf)
    return -log_p.scatter(1, wrong.argmax(1, keepdim=True), -math.inf).logsumexp(1)
