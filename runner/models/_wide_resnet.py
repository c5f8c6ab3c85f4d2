"""The layers of a wide residual network."""

import torch
from torch import Tensor, nn

from runner.models._layers import ConvNorm, Join, Norm, Normalize, average, conv, make_norm
from runner.models._shape import ImageShape


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
