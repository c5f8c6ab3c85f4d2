"""Bins of memorization scores, and what is counted in them."""

import numpy as np

DIGITS = 12  # 0.9 - 0.2 is 0.7 to the user, and lies in the bin that ends there


def bin_edges(num_bins: int, standard_error: float | None = None) -> np.ndarray:
    """Return the ends of equal bins of (0, 1], (K + 1,) float64 from 0 to 1.

    A bin that is narrower than the error of a score sorts examples by chance, so with an error
    there may be fewer bins than were asked for, and wider ones.

    Args:
        num_bins: that are asked for.
        standard_error: of a typical score; None: not known, so that it makes no difference.
    """
    if standard_error is not None:
        num_bins = max(1, min(num_bins, int(1 / standard_error + 1e-9)))
    return np.arange(num_bins + 1) / num_bins


def bins_of(score: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return each score's bin: k for (edges[k - 1], edges[k]], 0 for 0 and below, -1 for NaN.

    Args:
        score: (N,) float, at most 1.
        edges: (K + 1,) from `bin_edges`.

    Returns:
        (N,) int64 in [-1, K].
    """
    found = np.searchsorted(np.round(edges, DIGITS), np.round(score, DIGITS), side="left")
    return np.where(np.isnan(score), -1, found)


def rates_by_bin(hit: np.ndarray, bins: np.ndarray, num_bins: int) -> np.ndarray:
    """Return the share of hits among all, then in bins 0 to `num_bins`; NaN where a bin is empty.

    Args:
        hit: (n,) bool.
        bins: (n,) int64 in [0, num_bins].

    Returns:
        (num_bins + 2,) float64.
    """
    number = np.bincount(bins, minlength=num_bins + 1)
    hits = np.bincount(bins, weights=hit, minlength=num_bins + 1)
    number, hits = np.append(number.sum(), number), np.append(hits.sum(), hits)
    return np.divide(hits, number, out=np.full(num_bins + 2, np.nan), where=number > 0)
