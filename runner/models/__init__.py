"""Networks: our own, for images of 32x32 pixels and smaller, one file each; and borrowed ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from attacks.by_name import Keys
from runner.models._shape import ImageShape

if TYPE_CHECKING:  # keys are read and refused without waiting for it
    import numpy as np
    from torch import nn

    from runner.models._layers import Normalize

__all__ = ["ImageShape", "Model", "Normalize", "Pictures", "built", "image_shape"]


def __getattr__(name: str) -> Any:
    """Return `Normalize`, a layer, once somebody asks for it."""
    if name == "Normalize":
        from runner.models._layers import Normalize

        return Normalize
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


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

    needs_pixels: ClassVar[bool] = False  # it looks at neighbours, which a table's columns are not

    name: str

    def build(self, shape: ImageShape) -> nn.Module:
        """Return an initialised network from (N, channels, H, W) images in [0, 1] to (N, C) logits.

        Its first layer is `Normalize`, so that attacks work in pixel units.
        """
        raise NotImplementedError

    @property
    def unsaid(self) -> set[str]:
        """Return the keys that move no weight, or do so by a file whose digest counts."""
        return set()

    def remarks(self, shape: ImageShape) -> tuple[str, ...]:
        """Return what a reader of the figures must know, in sentences."""
        return ()


def built(model: Model, shape: ImageShape) -> nn.Module:
    """Return a model's network; layers that take their size from the first image have it."""
    import torch
    from torch.nn.parameter import is_lazy

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
