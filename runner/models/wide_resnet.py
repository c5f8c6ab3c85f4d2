"""Wide residual networks: Zagoruyko and Komodakis (2016), https://arxiv.org/abs/1605.07146."""

from typing import Literal

import torch
from pydantic import PositiveInt, field_validator
from torch import Tensor, nn

from runner.models import ImageShape, Model, Normalize
from runner.models._layers import ConvNorm, Join, Norm, average, conv, make_norm


class WideResNet(Model):
    """WRN-28-10 as `{name: wide_resnet}`; WRN-16-4 as `{name: wide_resnet, depth: 16, ...}`."""

    name: Literal["wide_resnet"] = "wide_resnet"
    depth: int = 28  # 6n + 4: three stages of n blocks
    widen_factor: PositiveInt = 10
    norm: Literal["batch", "group"] = "batch"

    @field_validator("depth")
    @classmethod
    def _is_6n_plus_4(cls, depth: int) -> int:
        if depth < 10 or depth % 6 != 4:
            below = max(10, depth - (depth - 4) % 6)
            near = f"{below}" if depth < 10 else f"{below} or {below + 6}"
            raise ValueError(f"depth must be 6n + 4 with n >= 1, got {depth}; use {near}")
        return depth

    def build(self, shape: ImageShape) -> nn.Module:
        return Network((self.depth - 4) // 6, self.widen_factor, self.norm, shape)


class Network(nn.Module):
    """Stem of 16 channels, three stages, norm, average over all positions, one linear layer."""

    def __init__(self, blocks_per_stage: int, widen: int, norm: Norm, shape: ImageShape) -> None:
        super().__init__()
        self.normalize = Normalize(shape)
        self.stem = conv(shape.channels, 16, 3)
        blocks, inputs = [], 16
        for stage in range(3):
            outputs = 16 * widen * 2**stage
            for i in range(blocks_per_stage):
                stride = 2 if stage > 0 and i == 0 else 1
                blocks.append(Block(inputs, outputs, stride, norm))
                inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.norm = make_norm(norm, inputs)
        self.linear = nn.Linear(inputs, shape.num_classes)

    def forward(self, images: Tensor) -> Tensor:
        features = torch.relu(self.norm(self.blocks(self.stem(self.normalize(images)))))
        return self.linear(average(features))


class Block(nn.Module):
    """Norm and ReLU come before each convolution; a projected shortcut sees them too."""

    def __init__(self, inputs: int, outputs: int, stride: int, norm: Norm) -> None:
        super().__init__()
        self.norm = make_norm(norm, inputs)
        self.first = ConvNorm(inputs, outputs, 3, norm, stride)
        self.second = conv(outputs, outputs, 3)
        same = stride == 1 and inputs == outputs
        self.projection = None if same else conv(inputs, outputs, 1, stride)
        self.join = Join()

    def forward(self, features: Tensor) -> Tensor:
        active = torch.relu(self.norm(features))
        shortcut = features if self.projection is None else self.projection(active)
        return self.join(shortcut, self.second(torch.relu(self.first(active))))
