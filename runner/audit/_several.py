"""What several attacks say of a target together: the mean of their ranks, and whom they find both.

Letters: A attacks, K targets, N examples, F false positive rates.
"""

from collections.abc import Iterable, Sequence

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


def overlap(scores: Iterable[np.ndarray], row: np.ndarray, rates: Sequence[float]) -> Arrays:
    """Return how many members several attacks find, by two and by two, in one target.

    Each at the lowest threshold of its own whose FPR is within a rate, as `step_le` has it.

    Args:
        scores: (N,) float of each of A attacks.
        row: (N,) int8: 1 in, 0 out, -1 not judged.

    Returns:
        `both`: (F, A, A) int64, members that both find; on the diagonal those that one finds.
        `any_true` and `any_false`: (F,) int64, members and non-members that any of them calls so.
    """
    at_out = np.flatnonzero(row == 0)
    allowed = num_allowed(rates, len(at_out), "step_le")
    called = np.stack([_called(own, np.sort(own.take(at_out)), allowed) for own in scores], axis=1)
    found, false = (called & np.packbits(row == kind) for kind in (1, 0))
    both = [[[_number(one & other) for other in of] for one in of] for of in found]
    return {
        "both": np.array(both, np.int64),
        "any_true": np.array([_number(np.bitwise_or.reduce(of)) for of in found], np.int64),
        "any_false": np.array([_number(np.bitwise_or.reduce(of)) for of in false], np.int64),
    }


def _called(scores: np.ndarray, outside: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """Whom the lowest threshold that calls so many of rising `outside` calls, (F, N) in bits."""
    everybody = np.ones(len(scores), bool)
    return np.stack(
        [
            np.packbits(scores > outside[-1 - number] if number < len(outside) else everybody)
            for number in allowed
        ]
    )


def _number(bits: np.ndarray) -> int:
    """How many bits are set."""
    return int(np.bitwise_count(bits).sum(dtype=np.int64))
