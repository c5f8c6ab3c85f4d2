"""Label smoothing: a part of each target is spread evenly over all classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from defenses import Defense, Losses, Term

if TYPE_CHECKING:
    from torch import Tensor, nn


class LabelSmoothing(Defense):
    """Cross-entropy to (1 - smoothing) of the label and smoothing / C of every class.

    Source: Szegedy et al. (2016), https://arxiv.org/abs/1512.00567, section 7. Models are less sure
    of members on the whole, and often easier to tell apart: Kaya and Dumitras (2021),
    https://proceedings.mlr.press/v139/kaya21a.html.

    YAML: {name: label_smoothing, smoothing: 0.1}
    """

    name: Literal["label_smoothing"] = "label_smoothing"
    smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.1

    @property
    def terms(self) -> frozenset[Term]:
        return frozenset({"total", "natural"})

    def losses_at(
        self, model: nn.Module, images: Tensor, adversarial: Tensor, labels: Tensor
    ) -> Losses:
        """Return the smoothed cross-entropy as total, the plain one as natural loss."""
        import torch.nn.functional as F

        logits = model(images)
        total = F.cross_entropy(logits, labels, reduction="none", label_smoothing=self.smoothing)
        return Losses(total, natural=F.cross_entropy(logits, labels, reduction="none"))
