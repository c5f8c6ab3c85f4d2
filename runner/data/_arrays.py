"""Arrays of images as others wrote them: (N, channels, H, W) uint8 is what becomes of them."""

from typing import Literal

import numpy as np

Layout = Literal["auto", "nhwc", "nchw"]


def as_images(images: np.ndarray, layout: Layout) -> tuple[np.ndarray, list[str]]:
    """Return (N, channels, H, W) uint8, and what a reader must know of what became of them.

    Floats in [0, 1] become the nearest of 256 levels.

    Args:
        images: (N, H, W), (N, H, W, channels) or (N, channels, H, W), uint8 or floats in [0, 1].
        layout: auto: the axis of length 1 or 3 has the channels, and it must be plain which.

    Raises:
        ValueError: they are not that; says what they are.
    """
    whole, real = images.dtype == np.uint8, images.dtype.kind == "f"
    if not (whole or real) or images.ndim not in (3, 4) or 0 in images.shape[1:]:
        raise ValueError(
            "expected (N, H, W), (N, H, W, channels) or (N, channels, H, W) uint8, or floats in "
            f"[0, 1], got {images.shape} {images.dtype}"
        )
    remarks = []
    if real:
        images, remarks = _levels(images)
    if images.ndim == 3:
        return images[:, None], remarks
    first, last = images.shape[1] in (1, 3), images.shape[3] in (1, 3)
    if layout == "auto" and first == last:
        raise ValueError(
            f"cannot tell the channels of {images.shape}: set data.layout to nhwc or nchw"
        )
    plain = "nhwc" if last else "nchw"
    if layout != "auto" and first != last and layout != plain:
        raise ValueError(
            f"layout {layout} makes {images.shape[3 if first else 1]} channels of "
            f"{images.shape}, which has 1 or 3 as {plain}: set data.layout to {plain} or auto"
        )
    last = last if layout == "auto" else layout == "nhwc"
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2)) if last else images, remarks


def _levels(images: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Floats in [0, 1] as uint8, and whether that moved them."""
    found, moved = np.empty(images.shape, np.uint8), 0.0
    for block, out in zip(
        *(np.array_split(a, len(a) // 1024 + 1) for a in (images, found)), strict=True
    ):
        least, most = block.min(initial=0), block.max(initial=0)
        if not (least >= 0 and most <= 1):  # nor NaN
            raise ValueError(
                f"floats are pixels in [0, 1], and these go from {least:g} to {most:g}; bring them "
                "there, or write uint8, 0 to 255; what was standardised must be undone"
            )
        out[...] = np.rint(block.astype(np.float64) * 255)
        moved = max(moved, float(np.abs(out / 255 - block).max(initial=0)))
    if moved < 1e-3:  # half precision of a level
        return found, []
    return found, ["pixels were floats, and are rounded to the nearest of 256 levels"]
