"""ResNets for small images: He et al. (2016), https://arxiv.org/abs/1512.03385.

The stem is one 3x3 convolution of stride 1, and nothing is pooled before the last layer. For images
of more than 64 pixels `stem: large` is the paper's own: 7x7 of stride 2, and a pooling of stride 2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, PositiveInt

from runner.models import ImageShape, Model

if TYPE_CHECKING:
    from torch import nn


def __getattr__(name: str) -> Any:
    """Return what a file of a user's makes its own network of, once it asks for it."""
    if name.startswith("_"):  # as Python asks for `__path__` before each import
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from runner.models import _resnet

    return getattr(_resnet, name)


class ResNet(Model):
    """`{name: resnet18}`, `{name: resnet8, width: 32, norm: group}`."""

    needs_pixels: ClassVar[bool] = True

    name: Literal["resnet8", "resnet18", "resnet50"]
    width: PositiveInt | None = None  # channels of the first stage; None: the published number
    norm: Literal["batch", "group"] = "batch"
    stem: Annotated[Literal["small", "large"], Field(exclude_if=lambda stem: stem == "small")] = (
        "small"  # not said while it is: Runs were stored without it
    )

    def build(self, shape: ImageShape) -> nn.Module:
        from runner.models._resnet import RECIPES, Network

        return Network(RECIPES[self.name], self.width, self.norm, shape, self.stem == "large")
