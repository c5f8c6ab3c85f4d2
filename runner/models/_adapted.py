"""A network that somebody else wrote, made to take a data set's images and to begin from a file."""

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from runner.models._layers import Normalize
from runner.models._shape import ImageShape
from runner.models._start import put


class Adapted(nn.Module):
    """(N, channels, H, W) images in [0, 1] -> (N, C) logits of a network for images of `channels`.

    Images are normalised, then shown as often as the network has channels if they have one, and
    enlarged or made smaller to a side of `resize` pixels, bilinearly, where that is asked for. All
    of it is inside, so attacks work in the data set's own pixels.
    """

    def __init__(
        self,
        network: nn.Module,
        shape: ImageShape,
        channels: int,
        resize: int | None,
        fresh: tuple[str, ...],
    ) -> None:
        super().__init__()
        self.normalize = Normalize(shape)
        self.network = network
        self.channels, self.resize = channels, resize
        self.fresh = fresh  # the layers that begin anew, where others begin with given weights

    def forward(self, images: Tensor) -> Tensor:
        shown = self.normalize(images)
        if shown.shape[1] != self.channels:
            shown = shown.expand(-1, self.channels, -1, -1)
        if self.resize:
            shown = F.interpolate(shown, size=(self.resize, self.resize), mode="bilinear")
        logits = self.network(shown)
        # Some have heads beside the last one, for training alone, and return a tuple of all.
        return logits[0] if isinstance(logits, tuple) else logits


def adapted(
    make: Callable[[int], nn.Module],
    shape: ImageShape,
    channels: int,
    resize: int | None,
    start: Callable[[], Mapping[str, Tensor]] | None,
) -> Adapted:
    """Return the network that `make` gives for a number of classes, with the weights of a start.

    Layers that change their input in place do not any more: the same values, and hooks that take
    per-example gradients see them.

    Args:
        make: returns a network with so many classes, with its initial weights.
        shape: of the data; its mean and std are those that the network's images are normalised by.
        channels: that the network takes.
        resize: the side of the images that it is shown.
        start: reads a `state_dict`; None: its own initial weights. On the meta device nothing is.

    Raises:
        ValueError: images of so many channels are not for it, or the weights are not its own.
    """
    if shape.channels not in (1, channels):
        raise ValueError(
            f"it takes images of {channels} channels, or of one, which it is shown {channels} "
            f"times; these have {shape.channels}"
        )
    network = make(shape.num_classes)
    for layer in network.modules():
        if getattr(layer, "inplace", False):
            layer.inplace = False  # pyright: ignore[reportArgumentType, reportAttributeAccessIssue]
    if start is not None and not any(p.is_meta for p in network.parameters()):
        with torch.random.fork_rng(devices=[]):
            fresh = put(network, start(), lambda: make(shape.num_classes + 1))
    else:
        fresh = ()
    return Adapted(network, shape, channels, resize, fresh)
