"""The fixed views of images that models are asked about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from attacks.by_name import unknown

if TYPE_CHECKING:  # a view is named and refused without waiting for it
    import torch
    from torch import Tensor


class View(NamedTuple):
    """Flip left-right first, then move the content by whole pixels."""

    flip: bool
    down: int
    right: int
    outside: Literal["reflected", "zeros"] = "reflected"  # the pixels that come in


_SHIFTS = {
    ("flip_" * flip + "shift" * bool(up_down or left_right) + up_down + left_right).rstrip("_")
    or "identity": View(flip, down, right)
    for flip in (False, True)
    for up_down, down in (("", 0), ("_up", -1), ("_down", 1))
    for left_right, right in (("", 0), ("_left", -1), ("_right", 1))
}


_CORNERS = {
    "flip_" * flip + f"corner_{vertical}_{horizontal}": View(flip, down, right, "zeros")
    for flip in (False, True)
    for vertical, down in (("top", 4), ("bottom", -4))
    for horizontal, right in (("left", 4), ("right", -4))
}


VIEWS = _SHIFTS | _CORNERS
"""By name, 18 shifts by at most one pixel, with and without a flip: identity, shift_left, ...,
shift_up_right, flip, flip_shift_left, ... Source: the LiRA authors' inference code,
https://github.com/tensorflow/privacy/tree/master/research/mi_lira_2021.

And the crops at the 4 corners of the image padded with 4 pixels of zeros: corner_top_left, ...,
flip_corner_bottom_right. Source: the queries of DeMem's official code, torchvision's Pad(4) and
FiveCrop, each with and without a flip. The fifth crop is the identity."""


def view(images: Tensor, name: str) -> Tensor:
    """Return a fixed view of the images, the same for every model and every call.

    Pixels that a shift moves in from outside are the image's own, reflected at its edge; those
    that a corner crop takes from outside are 0.

    Args:
        images: (n, c, h, w), uint8 or float, at least 2x2 pixels.
        name: one of VIEWS.

    Returns:
        (n, c, h, w) of the same dtype.

    Raises:
        ValueError: there is no view of that name.
    """
    if name not in VIEWS:
        raise ValueError(unknown("view", name, VIEWS))
    import torch.nn.functional as F

    flip, down, right, outside = VIEWS[name]
    if flip:
        images = images.flip(3)
    if outside == "zeros":  # padding by a negative number takes pixels away
        return F.pad(images, (right, -right, down, -down))
    if down:
        images = images.index_select(2, _reflected(images.shape[2], down, images.device))
    if right:
        images = images.index_select(3, _reflected(images.shape[3], right, images.device))
    return images


def to_float(images: Tensor) -> Tensor:
    """Return uint8 images as float32 in [0, 1], in channels_last memory; a table's rows are."""
    import torch

    if images.dtype == torch.float32:  # a copy, as of images
        return images.clone(memory_format=torch.channels_last)
    assert images.dtype == torch.uint8, images.dtype
    return images.to(torch.float32, memory_format=torch.channels_last).div_(255)


def _reflected(length: int, shift: int, device: torch.device) -> Tensor:
    """Return which source pixel lands on each place after a shift to higher places."""
    import torch

    source = (torch.arange(length, device=device) - shift).abs()
    return length - 1 - (length - 1 - source).abs()
