"""DeMem: a penalty on the variance of per-example losses, over any other defense."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

from pydantic import NonNegativeFloat, model_validator

from attacks.by_name import unknown
from defenses import Facts, Guarantee, Losses, Term, Wrapper, over_batch

if TYPE_CHECKING:
    from torch import Tensor, nn


class DeMem(Wrapper):
    """L + weight * Var(l), the variance taken over the global batch.

    Source: Luo and Li, "DeMem", section 3.3 (seed paper): the variance of "the" loss, divided by n.
    The official code takes the adversarial cross-entropy for PGD-AT, TRADES and AWP alike, and
    divides by n - 1: `on: adversarial, normaliser: n-1`.

    Per example this is l + weight * (l - mean)^2 with the mean detached: its batch mean is the mean
    plus the weighted variance, and so is its gradient, because deviations from the mean sum to 0.

    YAML: {name: demem, weight: 0.2, on: adversarial, normaliser: n-1, base: {name: trades}}
    """

    name: Literal["demem"] = "demem"
    weight: NonNegativeFloat = 0.2
    on: Term = "total"
    normaliser: Literal["n", "n-1"] = "n"

    @model_validator(mode="after")
    def _base_has_the_term(self) -> Self:
        if self.on not in self.base.terms:
            reason = unknown(f"loss of {self.base.name}", self.on, self.base.terms)
            raise ValueError(f"`on` says which loss the variance is taken over: {reason}")
        return self

    @property
    def couples_examples(self) -> bool:
        return self.weight > 0 or self.base.couples_examples

    def losses_at(
        self, model: nn.Module, images: Tensor, adversarial: Tensor, labels: Tensor
    ) -> Losses:
        """Return the base's losses with the penalty added to total; see the contract for shapes."""
        losses = self.base.losses_at(model, images, adversarial, labels)
        chosen = getattr(losses, self.on)
        mean, n = over_batch(chosen, model)
        correction = n / max(n - 1, 1) if self.normaliser == "n-1" else 1.0
        penalty = self.weight * correction * (chosen - mean) ** 2
        return losses._replace(total=losses.total + penalty)

    def guarantee(self, facts: Facts) -> Guarantee | None:
        """Return the base's guarantee, or None: a loss that couples examples has none."""
        return None if self.weight > 0 else self.base.guarantee(facts)
