"""Which settings others beat in everything; by means alone, or beyond their intervals."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

OBJECTIVES = ("natural", "robust", "leakage")
Three = Mapping[str, Any]  # natural, robust and leakage, an interval each; robust may be None


class Points(NamedTuple):
    """Settings by objectives, (n, k) float64 each, turned so that more is better."""

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


def points(figures: Sequence[Three]) -> Points:
    """Return what is compared of settings: natural and robust accuracy, and leakage turned round.

    Without an evasion attack there is no robust accuracy, and the other two are compared.
    """
    keys = [key for key in ("natural", "robust") if figures and figures[0][key] is not None]

    def column(end: str, turned_end: str) -> np.ndarray:
        found = [[*(f[key][end] for key in keys), -f["leakage"][turned_end]] for f in figures]
        return np.array(found, float).reshape(len(figures), len(keys) + 1)

    return Points(column("mean", "mean"), column("low", "high"), column("high", "low"))


def on_front(at: Points) -> np.ndarray:
    """Return whom none beats by means, (n,) bool: as good in everything and better in something."""
    better = np.any(at.mean[None] > at.mean[:, None], axis=-1)
    return ~np.any(_no_worse(at) & better, axis=1)


def beaten(at: Points) -> np.ndarray:
    """Return [i, j]: whether j beats i beyond their intervals, (n, n) bool.

    That is: by means j is no worse than i in any objective, and in one of them j's whole interval
    is better than i's. Were that asked of all objectives, a setting that only leaks more could
    never be told to be worse than another of the same accuracy.
    """
    return _no_worse(at) & np.any(at.low[None] > at.high[:, None], axis=-1)


def _no_worse(at: Points) -> np.ndarray:
    """Whether by means j is as good as i in everything."""
    return np.all(at.mean[None] >= at.mean[:, None], axis=-1)
