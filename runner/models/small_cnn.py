"""A few convolutions, for digits of 8x8 pixels up to images of 32x32, quick on one CPU core."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import PositiveInt

from runner.models import ImageShape, Model

if TYPE_CHECKING:
    from torch import nn


def __getattr__(name: str) -> Any:
    """Return what a file of a user's makes its own network of, once it asks for it."""
    if name.startswith("_"):  # as Python asks for `__path__` before each import
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from runner.models import _layers

    return getattr(_layers, name)


class SmallCnn(Model):
    """`{name: small_cnn, width: 32}`: two convolutions at 8x8, four at 28x28 and 32x32.

    Each convolution after the first halves the sides, until 4x4 positions are left. They are
    flattened, not averaged: a net this shallow sees too little of an image from each of them.
    """

    needs_pixels: ClassVar[bool] = True

    name: Literal["small_cnn"] = "small_cnn"
    width: PositiveInt = 32  # channels of the first convolution; the next two double them
    norm: Literal["batch", "group", "none"] = "batch"

    def build(self, shape: ImageShape) -> nn.Module:
        from torch import nn

        from runner.models._layers import ConvNorm, Normalize

        layers: list[nn.Module] = [ConvNorm(shape.channels, self.width, 3, self.norm), nn.ReLU()]
        height, width, channels = shape.height, shape.width, self.width
        while max(height, width) > 4:
            outputs = min(2 * channels, 4 * self.width)
            layers += [ConvNorm(channels, outputs, 3, self.norm, stride=2), nn.ReLU()]
            height, width, channels = (height + 1) // 2, (width + 1) // 2, outputs
        linear = nn.Linear(channels * height * width, shape.num_classes)
        return nn.Sequential(Normalize(shape), *layers, nn.Flatten(), linear)
