"""Networks of every architecture, small ones, and images of three data sets' shapes."""

from typing import Any

import torch
from torch import Tensor, nn

from attacks.by_name import find
from runner.models import ImageShape, Model

DIGITS = ImageShape(1, 8, 8, 10, (0.3,), (0.4,))
FASHION = ImageShape(1, 28, 28, 10, (0.286,), (0.353,))
CIFAR = ImageShape(3, 32, 32, 10, (0.49, 0.48, 0.45), (0.25, 0.24, 0.26))

SMALL: list[dict[str, Any]] = [
    {"name": "resnet8"},
    {"name": "resnet18", "width": 4},
    {"name": "resnet50", "width": 2},
    {"name": "wide_resnet", "depth": 10, "widen_factor": 1},
    {"name": "small_cnn"},
    {"name": "mlp"},
]
NORMED = SMALL[:-1]  # those with a `norm` field


def make(fields: dict[str, Any], shape: ImageShape, seed: int = 0) -> nn.Module:
    """The network of these YAML keys, as the runner lays it out in memory."""
    torch.manual_seed(seed)
    model = find("runner.models", fields["name"], Model).model_validate(fields).build(shape)
    return model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


def images_of(shape: ImageShape, n: int = 4) -> Tensor:
    """Random images of a shape, (n, channels, height, width)."""
    generator = torch.Generator().manual_seed(1)
    return torch.rand(n, shape.channels, shape.height, shape.width, generator=generator)


def num_parameters(model: nn.Module) -> int:
    """How many numbers a model has to learn."""
    return sum(p.numel() for p in model.parameters())


def randomize_norms(model: nn.Module) -> None:
    """Give every BatchNorm the statistics and weights of a trained net, not 0 and 1."""
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):
            assert norm.running_mean is not None
            assert norm.running_var is not None
            norm.running_mean.normal_(0, 0.3)
            norm.running_var.uniform_(0.5, 2)
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.normal_(norm.bias, 0, 0.3)
