"""The layers of a ResNet for small images."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from runner.models._layers import ConvNorm, Join, Norm, Normalize, average
from runner.models._shape import ImageShape


class Recipe(NamedTuple):
    """What sets one published size apart from another."""

    blocks: tuple[int, ...]  # per stage
    width: int  # of the first stage; each later stage doubles it
    bottleneck: bool


RECIPES = {
    "resnet8": Recipe((1, 1, 1), 16, bottleneck=False),  # section 4.2, 6n + 2 layers with n = 1
    "resnet18": Recipe((2, 2, 2, 2), 64, bottleneck=False),
    "resnet50": Recipe((3, 4, 6, 3), 64, bottleneck=True),
}


class Network(nn.Module):
    """Stem, stages of residual blocks, average over all positions, one linear layer."""

    def __init__(
        self,
        recipe: Recipe,
        width: int | None,
        norm: Norm,
        shape: ImageShape,
        large: bool = False,  # images, of which the stem keeps a sixteenth of the positions
    ) -> None:
        super().__init__()
        width = recipe.width if width is None else width
        self.normalize = Normalize(shape)
        kernel, stride = (7, 2) if large else (3, 1)
        self.stem = ConvNorm(shape.channels, width, kernel, norm, stride)
        self.pool = nn.MaxPool2d(3, 2, 1) if large else nn.Identity()
        blocks, inputs = [], width
        for stage, num_blocks in enumerate(recipe.blocks):
            for i in range(num_blocks):
                stride = 2 if stage > 0 and i == 0 else 1
                inner = width * 2**stage
                outputs = 4 * inner if recipe.bottleneck else inner
                mapping = (
                    _bottleneck(inputs, inner, outputs, stride, norm)
                    if recipe.bottleneck
                    else _basic(inputs, outputs, stride, norm)
                )
                same = stride == 1 and inputs == outputs
                shortcut = nn.Identity() if same else ConvNorm(inputs, outputs, 1, norm, stride)
                blocks.append(Block(shortcut, mapping))
                inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.linear = nn.Linear(inputs, shape.num_classes)

    def forward(self, images: Tensor) -> Tensor:
        features = self.pool(torch.relu(self.stem(self.normalize(images))))
        return self.linear(average(self.blocks(features)))


class Block(nn.Module):
    """relu(shortcut(x) + mapping(x))."""

    def __init__(self, shortcut: nn.Module, mapping: nn.Module) -> None:
        super().__init__()
        self.shortcut = shortcut
        self.mapping = mapping
        self.join = Join()

    def forward(self, features: Tensor) -> Tensor:
        return torch.relu(self.join(self.shortcut(features), self.mapping(features)))


def _basic(inputs: int, outputs: int, stride: int, norm: Norm) -> nn.Module:
    """Two 3x3 convolutions."""
    return nn.Sequential(
        ConvNorm(inputs, outputs, 3, norm, stride), nn.ReLU(), ConvNorm(outputs, outputs, 3, norm)
    )


def _bottleneck(inputs: int, inner: int, outputs: int, stride: int, norm: Norm) -> nn.Module:
    """1x1 down, 3x3, 1x1 up; the stride lies on the 3x3, as in all common ResNet50 code."""
    return nn.Sequential(
        ConvNorm(inputs, inner, 1, norm),
        nn.ReLU(),
        ConvNorm(inner, inner, 3, norm, stride),
        nn.ReLU(),
        ConvNorm(inner, outputs, 1, norm),
    )
