"""Layers that several networks share."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from runner.models._shape import ImageShape
from runner.norms import GroupNorm

Norm = Literal["batch", "group", "none"]


class Normalize(nn.Module):
    """Subtract the data set's mean and divide by its standard deviation, per channel."""

    mean: Tensor
    std: Tensor

    def __init__(self, shape: ImageShape) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(shape.mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(shape.std).view(1, -1, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        return (images - self.mean) / self.std


class ConvNorm(nn.Module):
    """A convolution and the norm that follows it, run as one convolution where that is exact.

    In eval mode BatchNorm is a fixed scale and shift per channel, so it is folded into the weights:
    weight * gamma / sqrt(var + eps) and bias beta - mean * gamma / sqrt(var + eps). Attacks are
    crafted in eval mode, ten or twenty passes per training step, and are 1.3-1.75 times faster if
    no norm reads and writes every activation, forward and backward. The weights are much smaller
    than the activations that folding anew in each pass costs next to nothing, and nothing can go
    stale. Gradients flow through it to the input and to every parameter.

    In train mode, and with any other norm, both modules are called as they are: DP-SGD takes
    per-example gradients from calls of modules, which a functional call would pass by.
    The norm is looked at in each pass, since SyncBatchNorm or GroupNorm may have taken its place.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel_size: int, norm: Norm, stride: int = 1
    ) -> None:
        super().__init__()
        self.conv = conv(inputs, outputs, kernel_size, stride, bias=norm == "none")
        self.norm = make_norm(norm, outputs)

    def forward(self, images: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H / stride, W / stride), rounded up."""
        norm = self.norm
        if not isinstance(norm, _BatchNorm) or norm.training:
            return norm(self.conv(images))
        assert norm.running_mean is not None
        assert norm.running_var is not None
        scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
        weight = self.conv.weight * scale.view(-1, 1, 1, 1)
        bias = norm.bias - norm.running_mean * scale
        return F.conv2d(images, weight, bias, self.conv.stride, weight.shape[-1] // 2)


class Join(nn.Module):
    """The sum that ends a residual block; a module, so that a defense can replace it."""

    def forward(self, shortcut: Tensor, mapping: Tensor) -> Tensor:
        return shortcut + mapping


def conv(
    inputs: int, outputs: int, kernel_size: int, stride: int = 1, bias: bool = False
) -> nn.Conv2d:
    """Return a padded convolution with He et al.'s initialisation, https://arxiv.org/abs/1502.01852."""
    made = nn.Conv2d(inputs, outputs, kernel_size, stride, kernel_size // 2, bias=bias)
    if not made.weight.is_meta:  # there it does nothing, and imports torch's compiler for it: 2 s
        nn.init.kaiming_normal_(made.weight, mode="fan_out", nonlinearity="relu")
    if made.bias is not None:
        nn.init.zeros_(made.bias)
    return made


def average(features: Tensor) -> Tensor:
    """Return the mean over all positions: (N, channels, H, W) -> (N, channels).

    The gradient of `features.mean((2, 3))` is laid out as NCHW whatever the features are, and the
    ReLU before it then takes 10 times longer in channels_last; pooling keeps the layout.
    """
    return F.avg_pool2d(features, list(features.shape[2:])).flatten(1)


def make_norm(kind: Norm, channels: int) -> nn.Module:
    """Return the norm; "group" is what DP-SGD puts in the place of BatchNorm too."""
    if kind == "batch":
        return nn.BatchNorm2d(channels)
    if kind == "group":
        return GroupNorm(channels)
    return nn.Identity()
