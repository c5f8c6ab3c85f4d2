"""Sample images of the data that was judged: one row a class, pixel for pixel."""

import io

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from runner.report.style import RC

MOST_CLASSES = 10
CELL = 64  # pixels that an image's longer side should fill, and may not exceed
GAP = 4  # pixels between images
LEFT, TOP, BORDER = 72, 30, 6  # pixels: room for the names of classes, for a title, for neither
DPI = 128  # a power of two, so that whole pixels are exact in inches
BLANK = 255


def sample_sheet(
    images: np.ndarray, labels: np.ndarray, num_classes: int, per_class: int = 8
) -> Figure:
    """Return a figure of the first images of each class; of the first ten classes, if it has more.

    Source: Tao et al. (2024), https://arxiv.org/abs/2408.05723, figure 2.

    Args:
        images: (N, channels, H, W) uint8. Three channels are red, green and blue; of any other
            number the first is drawn, in grey.
        labels: (N,) int in [0, num_classes).
        per_class: images in a row; a class that has fewer leaves the rest of its row blank.
    """
    cells = thumbnails(images, labels, num_classes, per_class)
    sheet = tiled(cells)
    height, width = sheet.shape[:2]
    pitch = (height + GAP) / len(cells)  # pixels from one row to the next
    top = TOP if num_classes > len(cells) else BORDER
    whole_width, whole_height = LEFT + width + BORDER, top + height + BORDER
    with matplotlib.rc_context(RC):
        figure = Figure(figsize=(whole_width / DPI, whole_height / DPI), dpi=DPI)
        axes = figure.add_axes(
            (LEFT / whole_width, BORDER / whole_height, width / whole_width, height / whole_height)
        )
        axes.imshow(sheet, interpolation="nearest", origin="upper", aspect="auto")
        middles = np.arange(len(cells)) * pitch + (pitch - GAP - 1) / 2
        axes.set_yticks(middles, [f"class {k}" for k in range(len(cells))])
        axes.set_xticks([])
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        axes.grid(visible=False)
        if num_classes > len(cells):
            axes.set_title(f"{len(cells)} of {num_classes} classes", loc="left", fontsize=9)
    return figure


def sample_png(images: np.ndarray, labels: np.ndarray, num_classes: int) -> bytes:
    """Return `sample_sheet` as a PNG file; the same images give the same bytes."""
    figure, out = sample_sheet(images, labels, num_classes), io.BytesIO()
    with matplotlib.rc_context(RC):
        figure.savefig(out, format="png", dpi=DPI, metadata={"Software": None})
    return out.getvalue()


def thumbnails(
    images: np.ndarray, labels: np.ndarray, num_classes: int, per_class: int
) -> np.ndarray:
    """Return (rows, per_class, H, W, channels) uint8: the first images of each class, in order.

    There are at most MOST_CLASSES rows. Images that a class does not have are white.
    """
    _, channels, height, width = images.shape
    num_rows = min(num_classes, MOST_CLASSES)
    cells = np.full((num_rows, per_class, height, width, channels), BLANK, dtype=np.uint8)
    for k in range(num_rows):
        first = np.flatnonzero(labels == k)[:per_class]
        cells[k, : len(first)] = images[first].transpose(0, 2, 3, 1)
    return cells


def tiled(cells: np.ndarray) -> np.ndarray:
    """Return the sheet (height, width, 3) uint8: all cells in their rows, white between them.

    An image is repeated pixel by pixel, or thinned to every so many pixels, to about CELL pixels.

    Args:
        cells: (rows, per_class, H, W, channels) uint8.
    """
    side = max(cells.shape[2:4])
    times, every = max(1, CELL // side), -(-side // CELL)
    cells = cells[:, :, ::every, ::every].repeat(times, axis=2).repeat(times, axis=3)
    gaps = ((0, 0), (0, 0), (0, GAP), (0, GAP), (0, 0))
    cells = np.pad(cells, gaps, constant_values=BLANK)
    down, across, height, width, _ = cells.shape
    sheet = cells.swapaxes(1, 2).reshape(down * height, across * width, -1)[:-GAP, :-GAP]
    return sheet if sheet.shape[2] == 3 else sheet[:, :, :1].repeat(3, axis=2)
