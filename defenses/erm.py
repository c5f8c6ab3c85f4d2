"""Empirical risk minimisation: no defense, the baseline of every table."""

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from defenses import Defense, Losses, Term


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
        natural = F.cross_entropy(model(images), labels, reduction="none")
        return Losses(natural, natural=natural)
