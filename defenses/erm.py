"""Empirical risk minimisation: no defense, the baseline of every table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from defenses import Defense, Losses, Term

if TYPE_CHECKING:
    from torch import Tensor, nn


class ERM(Defense):
    """Plain cross-entropy training.

    YAML: {name: erm}
    """

    name: Literal["erm"] = "erm"

    @property
    def terms(self) -> frozenset[Term]:
        return frozenset({"total", "natural"})

    def losses_at(
        self, model: nn.Module, images: Tensor, adversarial: Tensor, labels: Tensor
    ) -> Losses:
        """Return the cross-entropy as total and natural loss; see the contract for shapes."""
        import torch.nn.functional as F

        natural = F.cross_entropy(model(images), labels, reduction="none")
        return Losses(natural, natural=natural)
