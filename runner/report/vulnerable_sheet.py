"""The images of the examples that are called members most often, an arm below the other."""

import io
from collections import Counter
from collections.abc import Mapping
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from runner.report import style
from runner.report.text import percent

MOST_ARMS = 3
ACROSS = 8  # images in a row
CELL = 96  # pixels that an image's longer side should fill, and may not exceed
PITCH, BELOW = 124, 74  # pixels from an image to the next one across; below it, for its caption
MOST_LETTERS = 24  # of an id below its image
HEAD, BORDER = 40, 14  # pixels: above the first row of an arm, and around the sheet
DPI = 128  # a power of two, so that whole pixels are exact in inches
PAPER = 255


def vulnerable_png(
    results: dict[str, Any], images: np.ndarray | Mapping[str, np.ndarray]
) -> bytes | None:
    """Return a PNG file of the examples most at risk of up to three arms; None if there is none.

    Below each: its class, in how many of the models trained on it it is called a member, and its
    memorization with its standard error. The same images give the same bytes.

    Args:
        results: what results.json holds.
        images: (N, channels, H, W) uint8, the pool, or each by the name that results have for it.
            Three channels are red, green and blue; of any other number the first is drawn, in grey.
    """
    shown = sheet_arms(results)
    if not shown:
        return None
    scaled = [[scale(images[one["example"]]) for one in top] for top in shown.values()]
    tall = scaled[0][0].shape[0]
    rows = [-(-len(top) // ACROSS) for top in shown.values()]
    height = 2 * BORDER + len(rows) * HEAD + sum(rows) * (tall + BELOW)
    canvas = np.full((height, 2 * BORDER + ACROSS * PITCH, 3), PAPER, np.uint8)
    texts, y = [], BORDER
    for (arm, top), pictures in zip(shown.items(), scaled, strict=True):
        texts.append((BORDER, y + HEAD / 2, style.plain(arm), "left", {"weight": "bold"}))
        y += HEAD
        for i, (one, picture) in enumerate(zip(top, pictures, strict=True)):
            down, across = y + i // ACROSS * (tall + BELOW), BORDER + i % ACROSS * PITCH
            left = across + (PITCH - picture.shape[1]) // 2
            canvas[down : down + tall, left : left + picture.shape[1]] = picture
            below = (across + PITCH / 2, down + tall + 3)
            texts.append((*below, caption(one), "center", {"va": "top", "size": 6.5}))
        y += -(-len(top) // ACROSS) * (tall + BELOW)
    return _drawn(canvas, texts)


def sheet_arms(results: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return the examples that are drawn, by arm: those of the first three arms that have any."""
    found = {
        name: (arm.get("vulnerable") or {}).get("top") for name, arm in results["arms"].items()
    }
    return dict([(name, top) for name, top in found.items() if top][:MOST_ARMS])


def caption(one: dict[str, Any]) -> str:
    """Return what stands below an example: who it is, and its memorization where that is known."""
    text = f"{called(one)}class {one['label']}\nfound in {one['flagged_in']} of {one['num_in']}"
    if one["memorization"] is None:
        return text
    error = one["standard_error"]
    told = f" ± {error:.2f}" if error is not None else ""
    return f"{text}\nmem. {one['memorization']:.2f}{told}".replace("-", "\N{MINUS SIGN}")


def called(one: dict[str, Any]) -> str:
    """Return a line with the first of an example's ids, shortened from its front; "" without."""
    for column, value in (one.get("source") or {}).items():
        name = f"{column.removeprefix('source_')} {value}"
        short = (
            name
            if len(name) <= MOST_LETTERS
            else f"\N{HORIZONTAL ELLIPSIS}{name[1 - MOST_LETTERS :]}"
        )
        return f"{short}\n"
    return ""


def alt(results: dict[str, Any]) -> str:
    """Return the sheet in words, for who cannot see it."""
    told = []
    for arm, top in sheet_arms(results).items():
        kinds = Counter(one["label"] for one in top)
        classes = ", ".join(f"{kinds[k]} of class {k}" for k in sorted(kinds))
        often = [one["flagged_in"] / one["num_in"] for one in top]
        reach = f"{percent(round(min(often), 2))} to {percent(round(max(often), 2))}"
        told.append(f"{arm}: {len(top)} images ({classes}), found in {reach} of their models")
    return "; ".join(told)


def scale(image: np.ndarray) -> np.ndarray:
    """Return (H', W', 3) uint8: pixels repeated, or every so many of them, to about CELL of them.

    Args:
        image: (channels, H, W) uint8.
    """
    side = max(image.shape[1:])
    times, every = max(1, CELL // side), -(-side // CELL)
    image = image[:, ::every, ::every].repeat(times, axis=1).repeat(times, axis=2)
    shown = image if len(image) == 3 else image[:1].repeat(3, axis=0)
    return shown.transpose(1, 2, 0)


def _drawn(canvas: np.ndarray, texts: list[tuple[float, float, str, Any, dict[str, Any]]]) -> bytes:
    """The canvas with texts at pixels from its upper left corner, as a PNG file."""
    height, width = canvas.shape[:2]
    out = io.BytesIO()
    with matplotlib.rc_context(style.RC):
        figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.imshow(canvas, interpolation="nearest", aspect="auto")
        axes.set_axis_off()
        for x, y, text, ha, look in texts:
            look = {"va": "center", "size": 9, "linespacing": 1.25, **look}
            figure.text(x / width, 1 - y / height, text, ha=ha, **look)
        figure.savefig(out, format="png", dpi=DPI, metadata={"Software": None})
    return out.getvalue()
