"""A linear model of two classes, whose best perturbation is known."""

import torch
from torch import nn


def linear(seed: int = 0) -> nn.Module:
    """A linear network of images of 3x2x2 pixels."""
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 2))


def batch(n: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    """Images (n, 3, 2, 2) and their labels."""
    generator = torch.Generator().manual_seed(1)
    return torch.rand(n, 3, 2, 2, generator=generator), torch.arange(n) % 2


def best(model: nn.Module, images: torch.Tensor, labels: torch.Tensor, eps: float) -> torch.Tensor:
    """The most harmful images: eps * sign(w_wrong - w_true) away, in the unit box."""
    weight = model[1].weight.detach()  # pyright: ignore[reportIndexIssue]
    direction = (weight[1 - labels] - weight[labels]).sign().view_as(images)
    return (images + eps * direction).clamp(0, 1)
