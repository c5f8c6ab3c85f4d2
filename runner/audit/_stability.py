"""Which examples are called members nearly always, how stable that is, and what chance would do."""

from typing import Any

import numpy as np
from scipy.stats import binom, hypergeom, rankdata

LEAST_REPEATS = 4  # models trained on an example, below which nothing is said of it
LEAST_IN_A_HALF = 2


def needed(number: np.ndarray, at_least: float) -> np.ndarray:
    """Return how many of `number` models it takes, int64: 9 of 10 at 0.9, 8 of 8."""
    return np.ceil(number * at_least - 1e-9).astype(np.int64)


def nearly_always(flagged: np.ndarray, number: np.ndarray, at_least: float) -> np.ndarray:
    """Return which examples are called members in `at_least` of their models, (N,) bool."""
    return (number > 0) & (flagged >= needed(number, at_least))


def expected_by_chance(number: np.ndarray, at_least: float, chance: float) -> float:
    """Return how many examples would be called members so often if scores meant nothing.

    The tail of a binomial distribution for each example: targets are taken as independent.

    Args:
        number: (n,) int, models trained on each example.
        chance: that one of them calls it a member.
    """
    numbers, times = np.unique(number, return_counts=True)
    tails = binom.sf(needed(numbers, at_least) - 1, numbers, chance)
    return float(times @ tails)


def stability(num_in: np.ndarray, flagged_in: np.ndarray, at_least: float) -> dict[str, Any] | None:
    """Return how alike the examples are that each half of the pairs of models finds.

    Each half finds its own with half of the repeats, so this is less than how alike the whole
    would be to as many new models. Source: "Revisiting LiRA", https://arxiv.org/abs/2603.07567.

    Args:
        num_in: (2, n) int, models of each half that are trained on an example.
        flagged_in: (2, n) int, and those of them in which it is called a member.

    Returns:
        `jaccard` of the two sets, None where both are empty, and its mean for random sets of
        these sizes, `by_chance`; `rank_correlation` of how often examples are called members,
        None where that is the same for all; the sizes. None without examples in both halves.
    """
    enough = (num_in >= LEAST_IN_A_HALF).all(0)
    if not enough.any():
        return None
    number, flagged = num_in[:, enough], flagged_in[:, enough]
    first, second = (nearly_always(f, n, at_least) for f, n in zip(flagged, number, strict=True))
    sizes = int(first.sum()), int(second.sum())
    either = int((first | second).sum())
    return {
        "jaccard": int((first & second).sum()) / either if either else None,
        "by_chance": jaccard_by_chance(*sizes, len(first)),
        "rank_correlation": rank_correlation(*(flagged / number)),
        "num_first": sizes[0],
        "num_second": sizes[1],
    }


def jaccard_by_chance(num_first: int, num_second: int, num_all: int) -> float | None:
    """Return the mean Jaccard index of two random sets of these sizes; None if both are empty."""
    if not num_first + num_second:
        return None
    least = max(0, num_first + num_second - num_all)
    shared = np.arange(least, min(num_first, num_second) + 1)
    chance = hypergeom.pmf(shared, num_all, num_first, num_second)
    return float(chance @ (shared / (num_first + num_second - shared)))


def rank_correlation(first: np.ndarray, second: np.ndarray) -> float | None:
    """Return Spearman's correlation where both are finite; None where one is all the same.

    Ties have the mean of their ranks.
    """
    there = np.isfinite(first) & np.isfinite(second)
    ranks = rankdata(first[there]), rankdata(second[there])
    if not there.any() or any(np.ptp(values) == 0 for values in ranks):
        return None
    return float(np.corrcoef(*ranks)[0, 1])
