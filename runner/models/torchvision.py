"""torchvision's classifiers, by their names there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import field_validator

from attacks.wording import unknown
from runner.models import ImageShape
from runner.models._borrowed import Borrowed

if TYPE_CHECKING:
    from torch import nn


class Torchvision(Borrowed):
    """`{name: torchvision, architecture: resnet18, weights: resnet18-f37072fd.pth}`.

    `weights` is a file, such as torchvision offers for download; nothing is downloaded. Its layer
    of classes is begun anew where the data have other ones. `options` go to its constructor.
    """

    name: Literal["torchvision"] = "torchvision"
    architecture: str

    @field_validator("architecture")
    @classmethod
    def _is_known(cls, architecture: str) -> str:
        from torchvision import models

        known = models.list_models(module=models)
        if architecture not in known:
            raise ValueError(unknown("architecture of torchvision", architecture, known))
        return architecture

    def make(self, shape: ImageShape) -> nn.Module:
        from torchvision import models

        return models.get_model(
            self.architecture, weights=None, num_classes=shape.num_classes, **self.options
        )
