"""Image files, or their bytes, as one array of uint8: each is decoded once, on all cores."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar

import numpy as np
from PIL import Image, ImageOps

GREY = ("1", "L", "LA", "La", "I", "I;16", "I;16L", "I;16B", "I;16N", "F")  # modes of Pillow
TURNED = range(5, 9)  # orientations in EXIF that exchange width and height
ORIENTATION = 0x0112
Found = TypeVar("Found")


class Encoded(NamedTuple):
    """One image as it is stored."""

    name: str  # by which a fault tells it
    content: Path | bytes


class Wanted(NamedTuple):
    """What images are made into."""

    size: tuple[int, int] | None  # H, W; None: they all have one size, and keep it
    crop: bool  # whether what does not fit the shape of `size` is cut off, and not squeezed
    channels: Literal["auto", 1, 3]


class _Look(NamedTuple):
    """What the head of a file tells."""

    height: int
    width: int
    grey: bool


def decoded(sources: Sequence[Encoded], wanted: Wanted) -> np.ndarray:
    """Return (N, channels, H, W) uint8: upright, as EXIF has it, without what is transparent.

    Threads share it, since Pillow decodes and resizes outside Python's lock. Palettes become their
    colours, alpha is dropped as torchvision does, and 16 bits become 8 by scaling: Pillow's own
    `convert` cuts whatever is above 255.

    Raises:
        ValueError: one cannot be read, or they have several sizes and none is asked for.
    """
    Image.init()  # its list of formats is filled once, and not by all threads at once
    with ThreadPoolExecutor() as threads:
        looks = list(threads.map(lambda one: _of(one, _look), sources))
        height, width = wanted.size or _only_size(sources, looks)
        channels = wanted.channels
        if channels == "auto":
            channels = 1 if looks and all(look.grey for look in looks) else 3
        images = np.empty((len(sources), channels, height, width), np.uint8)

        def fill(i: int) -> None:
            images[i] = _of(
                sources[i], lambda image: _pixels(image, (width, height), wanted.crop, channels)
            )

        for _ in threads.map(fill, range(len(sources))):
            pass
    return images


def _of(one: Encoded, find: Callable[[Image.Image], Found]) -> Found:
    """What is found in an image, which is named if it cannot be read."""
    content = BytesIO(one.content) if isinstance(one.content, bytes) else one.content
    try:
        with Image.open(content) as image:
            return find(image)
    except Exception as error:  # a damaged file raises one of many kinds
        why = str(error).replace(repr(content), "it")
        raise ValueError(
            f"cannot read the image {one.name}: {why}; replace it, or take it away"
        ) from error


def _look(image: Image.Image) -> _Look:
    width, height = image.size
    if image.getexif().get(ORIENTATION) in TURNED:
        width, height = height, width
    return _Look(height, width, image.mode in GREY)


def _only_size(sources: Sequence[Encoded], looks: Sequence[_Look]) -> tuple[int, int]:
    """The height and width of all images."""
    first = looks[0]
    for i, look in enumerate(looks):
        if look[:2] != first[:2]:
            raise ValueError(
                f"images are of several sizes, such as {sources[0].name} ({first.width} x "
                f"{first.height}) and {sources[i].name} ({look.width} x {look.height}): give "
                "data.size, such as `size: 64`"
            )
    return first[:2]


def _pixels(image: Image.Image, size: tuple[int, int], crop: bool, channels: int) -> np.ndarray:
    """One image as (channels, H, W) uint8; `size` is W, H."""
    image = _eight_bits(ImageOps.exif_transpose(image))
    if image.mode == "P":
        image = image.convert("RGBA")  # RGB would warn of what is transparent
    image = image.convert("L" if channels == 1 else "RGB")
    if image.size != size and crop:
        image = ImageOps.fit(image, size, Image.Resampling.BILINEAR)
    elif image.size != size:
        image = image.resize(size, Image.Resampling.BILINEAR)
    pixels = np.asarray(image)
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)


def _eight_bits(image: Image.Image) -> Image.Image:
    """A grey image of more bits with 8: 65535 is white, or 1 where the values are in [0, 1]."""
    if image.mode not in GREY or image.mode in ("1", "L", "LA", "La"):
        return image
    values = np.asarray(image).astype(np.float64)
    white = 1 if image.mode == "F" else 65535
    if not (values.min() >= 0 and values.max() <= white):
        raise ValueError(
            f"its values go from {values.min():g} to {values.max():g}, where {white} is white; "
            "write 8 or 16 bits, 0 and more"
        )
    return Image.fromarray(np.rint(values * (255 / white)).astype(np.uint8))
