"""Members and non-members from the highest score to the lowest, and whom each of them outscores."""

from typing import NamedTuple

import numpy as np

HALF = np.uint32(1 << 31)  # the sign of a float32


class Ranked(NamedTuple):
    """I members and O non-members in falling order; equal scores in the order of the examples."""

    inside: np.ndarray  # (I,) int64, the members' places
    outside: np.ndarray  # (O,) int64
    high: np.ndarray  # (I,) the members' scores
    low: np.ndarray  # (O,)
    beaten_by_high: np.ndarray  # (I,) int64, twice the non-members below each; a tie counts one
    beaten_by_low: np.ndarray  # (O,) int64, twice the members below each


def ranked(scores: np.ndarray, member: np.ndarray) -> Ranked:
    """Return who outscores whom, from one sort of all.

    Args:
        scores: (N,) float without NaN.
        member: (N,) bool.
    """
    order = falling(scores)
    is_in, in_order = member.take(order), scores.take(order)
    at_in, at_out = np.flatnonzero(is_in), np.flatnonzero(~is_in)
    # Equal scores have the same first and last place: twice who is above, with those who tie once.
    first, last = _ties(in_order)
    members = np.append(0, np.cumsum(is_in))
    in_above = members.take(first.take(at_out)) + members.take(last.take(at_out) + 1)
    ends = first.take(at_in), last.take(at_in) + 1
    out_above = ends[0] + ends[1] - members.take(ends[0]) - members.take(ends[1])
    return Ranked(
        order.take(at_in),
        order.take(at_out),
        in_order.take(at_in),
        in_order.take(at_out),
        2 * len(at_out) - out_above,
        2 * len(at_in) - in_above,
    )


def falling(scores: np.ndarray) -> np.ndarray:
    """Return the order from the highest score to the lowest, (N,) int64, stable.

    Float32, which is what scores are stored as, and the place go into one whole number of 64 bits:
    to sort those takes a tenth of the time of a stable argsort.
    """
    if scores.dtype != np.float32 or len(scores) >> 32:
        return np.argsort(-scores, kind="stable")
    bits = (scores + np.float32(0)).view(np.uint32)  # -0 is 0
    below_zero = bits >= HALF
    keys = np.where(below_zero, bits, ~bits & ~HALF).astype(np.uint64) << np.uint64(32)
    keys |= np.arange(len(scores), dtype=np.uint64)
    keys.sort()
    return (keys & np.uint64(2**32 - 1)).view(np.int64)


def _ties(in_order: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each of (N,) sorted scores the first and the last place of those equal to it."""
    ends = np.flatnonzero(np.append(in_order[1:] != in_order[:-1], True))
    if len(ends) == len(in_order):
        return ends, ends
    starts = np.append(0, ends[:-1] + 1)
    sizes = ends + 1 - starts
    return np.repeat(starts, sizes), np.repeat(ends, sizes)
