"""What a model must know of its data."""

from typing import NamedTuple


class ImageShape(NamedTuple):
    """What a model must know of its data."""

    channels: int
    height: int
    width: int
    num_classes: int
    mean: tuple[float, ...]  # per channel, of images in [0, 1]
    std: tuple[float, ...]
