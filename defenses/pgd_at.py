"""Adversarial training on PGD examples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from attacks.evasion.pgd import PGD
from defenses import Defense, Losses, Term

if TYPE_CHECKING:
    from torch import Tensor, nn


class PGDAT(Defense):
    """Train on adversarial images only. Source: Madry et al., https://arxiv.org/abs/1706.06083.

    The attack is crafted in eval mode unless `attack.craft_in: train`; public codes differ.

    YAML: {name: pgd_at, attack: {eps: 8/255, step_size: 2/255, num_steps: 10}}
    """

    name: Literal["pgd_at"] = "pgd_at"
    attack: PGD = PGD()

    @property
    def terms(self) -> frozenset[Term]:
        return frozenset({"total", "adversarial"})

    def craft(self, model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        """Return images that maximise the cross-entropy; see the contract for shapes."""
        return self.attack.perturb(model, images, labels)

    def losses_at(
        self, model: nn.Module, images: Tensor, adversarial: Tensor, labels: Tensor
    ) -> Losses:
        """Return the cross-entropy at the adversarial images; see the contract for shapes."""
        import torch.nn.functional as F

        loss = F.cross_entropy(model(adversarial), labels, reduction="none")
        return Losses(loss, adversarial=loss)
