"""How the numbers of an axis are laid out: evenly, by logarithm, or by logarithm with a zero."""

import itertools
from typing import Any

import numpy as np
from matplotlib.axis import Axis
from matplotlib.colors import LinearSegmentedColormap, LogNorm, Normalize, SymLogNorm

from runner.report import style

SPAN = 30  # times by which numbers differ from which on a logarithm shows them better
MOST_TICKS, LEAST_GAP = 8, 0.08  # of an axis: values written on it, and what two are apart


def scale_of(numbers: list[float]) -> dict[str, Any]:
    """Return what `set_xscale` takes: "log", or "symlog" where one of the numbers is 0."""
    positive = [value for value in numbers if value > 0]
    if min(numbers) < 0 or len(positive) < 2 or max(positive) <= SPAN * min(positive):
        return {"value": "linear"}
    if min(numbers) > 0:
        return {"value": "log"}
    return {"value": "symlog", "linthresh": min(positive), "linscale": 0.5}


def norm_of(numbers: list[float]) -> Normalize:
    """Return what takes numbers to [0, 1] by the same scale."""
    scale, ends = scale_of(numbers), (min(numbers), max(numbers))
    if scale["value"] == "log":
        return LogNorm(*ends)
    if scale["value"] == "symlog":
        return SymLogNorm(scale["linthresh"], scale["linscale"], *ends)
    return Normalize(*ends)


def colors_of() -> LinearSegmentedColormap:
    """Return colours from low to high that grow lighter, and stand out on white and on black."""
    ends = [style.COLORS[0], style.COLORS[3], style.COLORS[4]]
    return LinearSegmentedColormap.from_list("setting", ends, N=48)


def write_ticks(axis: Axis, numbers: dict[float, str]) -> None:
    """Write the values themselves on an axis where they are few and lie apart.

    Args:
        numbers: the values, rising, and how each is written.
    """
    at = np.asarray(norm_of(list(numbers))(list(numbers))).tolist()
    near = any(after - before < LEAST_GAP for before, after in itertools.pairwise(at))
    if len(numbers) <= MOST_TICKS and not near:
        axis.set_ticks(list(numbers), labels=[style.plain(text) for text in numbers.values()])
        axis.set_ticks([], minor=True)
