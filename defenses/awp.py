"""Adversarial weight perturbation: the loss is taken where a step of the weights made it worse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

from pydantic import NonNegativeFloat, model_validator

from attacks.evasion import plain
from defenses import Facts, Guarantee, Losses, Wrapper

if TYPE_CHECKING:
    from torch import Tensor, nn


class AWP(Wrapper):
    """The base's losses at w + v, v one ascent step on their mean, as long as gamma allows.

    Source: Wu, Xia and Wang (2020), https://arxiv.org/abs/2004.05884, and its official code: for
    each tensor of weights with two dimensions or more, v = gamma ||w|| g / ||g||, with g the
    gradient of the base's mean total loss at the adversarial images that the loss is taken at too.
    Biases and norms stay. Images are crafted at w. gamma is 0.01 there for PGD-AT and 0.005 for
    TRADES, whose AWP sets in after 10 epochs; here it is on from the first step.

    The official code adds v to the weights, steps, and subtracts v. Here the gradient is taken at
    w + v and applied at w, which differs in one thing: weight decay pulls at w, and not at w + v.
    BatchNorm's averages see the pass at w + v alone, as there. A randomized network draws anew for
    each of the two passes, and the losses that are logged are those at w + v.

    YAML: {name: awp, gamma: 0.01, base: {name: pgd_at}}
    """

    name: Literal["awp"] = "awp"
    gamma: NonNegativeFloat = 0.01  # the length of v, in units of that of w

    @model_validator(mode="after")
    def _moves_once(self) -> Self:
        below = self.base
        while isinstance(below, Wrapper):
            if isinstance(below, AWP):
                raise ValueError("awp would move the weights twice; leave out one of the two")
            below = below.base
        return self

    @property
    def couples_examples(self) -> bool:
        return self.gamma > 0 or self.base.couples_examples

    @property
    def one_worker(self) -> bool:
        """The pass at w + v leaves DistributedDataParallel, which exchanges gradients, aside."""
        return self.gamma > 0 or self.base.one_worker

    def losses_at(
        self, model: nn.Module, images: Tensor, adversarial: Tensor, labels: Tensor
    ) -> Losses:
        """Return the base's losses at w + v; see the contract for shapes."""
        if self.gamma == 0:
            return self.base.losses_at(model, images, adversarial, labels)
        import torch

        from defenses._moved_weights import With, moved_along

        network = plain(model)
        # Averages of its own, so that this pass leaves no trace in BatchNorm's.
        trial = With(network, {name: b.clone() for name, b in network.named_buffers()})
        with torch.enable_grad():
            loss = self.base.losses_at(trial, images, adversarial, labels).total.mean()
        moved = With(network, moved_along(network, loss, self.gamma))
        return self.base.losses_at(moved, images, adversarial, labels)

    def guarantee(self, facts: Facts) -> Guarantee | None:
        """Return the base's guarantee, or None: a step that couples examples has none."""
        return None if self.gamma > 0 else self.base.guarantee(facts)
