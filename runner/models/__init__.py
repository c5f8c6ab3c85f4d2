"""Networks for images of 32x32 pixels and smaller. One file is one architecture."""

from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from attacks.by_name import Keys


class ImageShape(NamedTuple):
    """What a model must know of its data."""

    channels: int
    height: int
    width: int
    num_classes: int
    mean: tuple[float, ...]  # per channel, of images in [0, 1]
    std: tuple[float, ...]


class Pictures(Protocol):
    """What a data set tells of its images, as `runner.data.Dataset` has it."""

    @property
    def pool_images(self) -> np.ndarray: ...  # (N, channels, H, W)

    @property
    def num_classes(self) -> int: ...

    @property
    def mean(self) -> tuple[float, ...]: ...

    @property
    def std(self) -> tuple[float, ...]: ...


def image_shape(data: Pictures) -> ImageShape:
    """Return what a model must know of a data set."""
    channels, height, width = data.pool_images.shape[1:]
    return ImageShape(channels, height, width, data.num_classes, mean=data.mean, std=data.std)


class Model(Keys):
    """The contract: one subclass a file; its fields are its YAML keys."""

    name: str

    def build(self, shape: ImageShape) -> nn.Module:
        """Return an initialised network from (N, channels, H, W) images in [0, 1] to (N, C) logits.

        Its first layer is `Normalize`, so that attacks work in pixel units.
        """
        raise NotImplementedError


def built(model: Model, shape: ImageShape) -> nn.Module:
    """Return a model's network; layers that take their size from the first image have it."""
    network = model.build(shape)
    if not any(is_lazy(t) for t in (*network.parameters(), *network.buffers())):
        return network
    modes = {module: module.training for module in network.modules()}
    device = next(network.parameters()).device
    with torch.no_grad():
        network.eval()(torch.zeros(2, shape.channels, shape.height, shape.width, device=device))
    for module, training in modes.items():
        module.training = training
    return network


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
