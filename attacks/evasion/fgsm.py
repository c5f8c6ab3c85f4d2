"""The fast gradient sign method."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from attacks.evasion import EvasionAttack, Radius, crafting, input_gradient

if TYPE_CHECKING:
    from torch import Tensor, nn


class FGSM(EvasionAttack):
    """One signed gradient step. Source: Goodfellow et al., https://arxiv.org/abs/1412.6572.

    YAML: {name: fgsm, eps: 8/255}
    """

    name: Literal["fgsm"] = "fgsm"
    eps: Radius = 8 / 255

    def perturb(self, model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        """Return images one step up the cross-entropy; see the contract for shapes."""
        import torch
        import torch.nn.functional as F

        with torch.enable_grad(), crafting(model) as network:
            start = images.detach().clone().requires_grad_(True)
            loss = F.cross_entropy(network(start), labels, reduction="sum")
            ascent = input_gradient(loss, start).sign()
        return (images + self.eps * ascent).clamp_(0, 1)
