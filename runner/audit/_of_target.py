"""The figures of targets, from their scores.

Letters: K targets, N examples, F false positive rates, R resamples, T thresholds, E edges.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from runner.statistics import metrics
from runner.statistics.metrics import Rule
from runner.statistics.ranked import Ranked, ranked
from runner.statistics.resampling import (
    drawn_bits,
    drawn_sizes,
    num_allowed,
    placements,
    resampled_aucs,
    resampled_tprs,
)

Arrays = dict[str, np.ndarray]


class Measured(NamedTuple):
    """What is asked of every target."""

    rates: tuple[float, ...]  # F
    rule: Rule
    thresholds: tuple[float, ...]  # T, where scores are probabilities
    num_resamples: int  # R; 0: none
    seed: int  # of the resamples
    attacks: tuple[str, ...] = ()  # whose ranks are averaged; none: the reading has its own scores


def figures(
    scores: np.ndarray, rows: np.ndarray, asked: Measured, groups: np.ndarray | None = None
) -> Iterator[Arrays]:
    """Yield the fields of `runner.audit.judged.Judged` that each of K targets has by itself.

    The same numbers as `runner.statistics.metrics` gives, from members and non-members that one
    sort ranks. The resamples' sums are taken of all targets at once; the bits are the same as of
    each alone.

    Args:
        scores: (K, N) float.
        rows: (K, N) int8, each target's own: 1 in, 0 out, -1 not judged.
        groups: (N,) int, of examples that are resampled together; None: each by itself.

    Raises:
        ValueError: a score is NaN, or there are no members or no non-members.
    """
    num = asked.num_resamples
    if not num:
        for own, row in zip(scores, rows, strict=True):
            _, found = _of_one(own, row, asked)
            yield found | {"resampled": np.empty((0, 1 + len(asked.rates)))}
        return
    bits = drawn_bits(rows.shape[1], num, asked.seed, groups)
    sizes, won = drawn_sizes(rows, bits, num), np.empty(rows.shape, np.int32)
    all_found = []
    for k, (own, row) in enumerate(zip(scores, rows, strict=True)):
        of, found = _of_one(own, row, asked)
        won[k] = placements(of, len(row))
        tprs = resampled_tprs(of, bits, asked.rates, asked.rule, sizes[k])
        all_found.append((found, tprs))
    aucs = resampled_aucs(won, rows, bits, sizes)
    for (found, tprs), auc in zip(all_found, aucs, strict=True):
        yield found | {"resampled": np.hstack([auc[:, None], tprs])}


def _of_one(scores: np.ndarray, row: np.ndarray, asked: Measured) -> tuple[Ranked, Arrays]:
    """Who outscores whom in one target, at their places in the pool, and its figures.

    Thresholds and false positives are those of step_le, whatever the rule: interp mixes two.
    """
    places = np.flatnonzero(row >= 0)
    some, member = scores.take(places), row.take(places) == 1
    metrics.judged(some, member)
    of = ranked(some, member)
    inside, outside = of.high[::-1], of.low[::-1]
    if asked.rule == "interp":
        curve = metrics.roc(some, member)
        tpr = np.array([metrics.tpr_at_fpr(*curve, rate, "interp") for rate in asked.rates])
    else:
        tpr = _admitted(inside, outside, asked.rates, asked.rule) / len(inside)
    true, false = (_admitted(of, outside, asked.rates, "step_le") for of in (inside, outside))
    found = {
        "num_in": np.array(len(inside)),
        "num_out": np.array(len(outside)),
        "auc": np.array(of.beaten_by_high.mean() / (2 * len(outside))),
        "tpr": tpr,
        "threshold": np.minimum(_lowest(inside, true), _lowest(outside, false)),
        "false_positives": false,
        "roc": _admitted(inside, outside, metrics.roc_grid(), "step_le") / len(inside),
        "called_in": _from(inside, asked.thresholds),
        "called_out": _from(outside, asked.thresholds),
    }
    return of if len(places) == len(row) else of.placed(places), found


def edges(scores: np.ndarray, row: np.ndarray, num_ranks: int) -> np.ndarray:
    """Return the scores of non-members at so many ranks, even on a logarithmic scale.

    From the highest to the lowest, and every one of them where there are no more: so the
    places where thresholds of small false positive rates may lie are all there.
    """
    if not num_ranks:
        return scores[:0]
    falling = _sorted(scores, row == 0)[::-1]
    if len(falling) > num_ranks:
        ranks = np.rint(np.geomspace(1, len(falling), num_ranks)).astype(np.int64)
        falling = falling[np.unique(ranks) - 1]
    return falling


def above(scores: np.ndarray, row: np.ndarray, at: np.ndarray) -> Arrays:
    """Return how many members and how many non-members have more than each of (E,) scores.

    More, and not as much: just above a non-member's score is the lowest threshold that calls no
    further non-member.
    """
    return {
        name: (len(of) - np.searchsorted(of, at, side="right")).astype(np.int32)
        for name, of in (
            ("inside", _sorted(scores, row == 1)),
            ("outside", _sorted(scores, row == 0)),
        )
    }


def _sorted(scores: np.ndarray, some: np.ndarray) -> np.ndarray:
    """The scores of some examples, rising; a mask would take longer than the sort does."""
    return np.sort(scores.take(np.flatnonzero(some)))


def _admitted(
    rising: np.ndarray, outside: np.ndarray, rates: Sequence[float] | np.ndarray, rule: Rule
) -> np.ndarray:
    """How many rising scores the lowest threshold within each FPR admits.

    It lies just above the highest non-member that may not be admitted, where there is one.
    """
    allowed = num_allowed(rates, len(outside), rule)
    first_not = outside[np.maximum(len(outside) - 1 - allowed, 0)]
    found = len(rising) - np.searchsorted(rising, first_not, side="right")
    return np.where(allowed == len(outside), len(rising), found)


def _lowest(rising: np.ndarray, num: np.ndarray) -> np.ndarray:
    """The lowest of the `num` highest scores; infinity of none."""
    return np.where(num > 0, rising.take(np.minimum(len(rising) - num, len(rising) - 1)), np.inf)


def _from(rising: np.ndarray, thresholds: Sequence[float]) -> np.ndarray:
    """How many scores are at or above each threshold, as exactly as scores are stored."""
    return len(rising) - np.searchsorted(rising, np.asarray(thresholds, rising.dtype), side="left")
