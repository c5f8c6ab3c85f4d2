"""What several attacks say of a target together: the mean of their ranks, and whom they find both.

Letters: A attacks, K targets, N examples, F false positive rates.
"""

from collections.abc import Sequence

import numpy as np

from runner.audit._of_target import Arrays
from runner.statistics.ranked import falling
from runner.statistics.resampling import num_allowed


def mean_ranks(each: Sequence[np.ndarray], rows: np.ndarray) -> np.ndarray:
    """Return the mean over attacks of each example's rank among those judged, (K, N) float32.

    As a share of how many are judged: 1 is whom every attack has first. Equal scores share the
    mean of their ranks. Who is a member plays no part in it. What is not judged has 0.

    Args:
        each: (K, N) float of each attack, without NaN where it is judged.
        rows: (K, N) int8, each target's own: 1 in, 0 out, -1 not judged.
    """
    found = np.zeros(rows.shape, np.float32)
    for k, row in enumerate(rows):
        places = np.flatnonzero(row >= 0)
        ranks = sum(_ranks(scores[k].take(places)) for scores in each)
        found[k, places] = ranks / (len(each) * len(places))
    return found


def _ranks(scores: np.ndarray) -> np.ndarray:
    """The ranks (n,) float64 of some scores, 1 of the lowest; ties share their mean."""
    order = falling(scores)
    in_order = scores.take(order)
    first = np.flatnonzero(np.append(True, in_order[1:] != in_order[:-1]))
    number = np.diff(first, append=len(scores))
    ranks = np.empty(len(scores))
    ranks[order] = np.repeat(len(scores) - first - (number - 1) / 2, number)
    return ranks


def overlap(scores: np.ndarray, row: np.ndarray, rates: Sequence[float]) -> Arrays:
    """Return how many members several attacks find, by two and by two, in one target.

    Each at the lowest threshold of its own whose FPR is within a rate, as `step_le` has it.

    Args:
        scores: (A, N) float.
        row: (N,) int8: 1 in, 0 out, -1 not judged.

    Returns:
        `both`: (F, A, A) int64, members that both find; on the diagonal those that one finds.
        `any_true` and `any_false`: (F,) int64, members and non-members that any of them calls so.
    """
    inside, outside = (scores[:, np.flatnonzero(row == kind)] for kind in (1, 0))
    rising, num_out = np.sort(outside, axis=1), outside.shape[1]
    allowed = num_allowed(rates, num_out, "step_le")
    both, true, false = [], [], []
    for number in allowed:
        least = rising[:, [num_out - 1 - number]] if number < num_out else -np.inf
        called = [(of > least) | (number == num_out) for of in (inside, outside)]
        found = called[0].astype(np.float32)  # counts below 2**24 are exact
        both.append(np.rint(found @ found.T))
        true.append(np.count_nonzero(called[0].any(axis=0)))
        false.append(np.count_nonzero(called[1].any(axis=0)))
    return {
        "both": np.array(both, np.int64),
        "any_true": np.array(true, np.int64),
        "any_false": np.array(false, np.int64),
    }
