"""Figures of one model over again, under other draws of the examples: what intervals are made of.

Letters: N examples, R resamples, F false positive rates.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from runner.statistics.metrics import Rule, hull, judged, roc
from runner.statistics.ranked import Ranked, ranked

ROWS = 8192  # examples whose bits are unpacked at once
STEP = 64  # and those of them that are counted one by one
ROUNDING = 1e-6  # of a count of non-members


@lru_cache(maxsize=1)  # every target of a task asks for the same, 25 MB of a million examples
def half_samples(num_examples: int, num_resamples: int, seed: int) -> np.ndarray:
    """Return who is in each resample, as bits: (num_examples, ceil(R / 8)) uint8.

    A resample is a random half: each example weighs 2 or 0, with probability 1/2 each. Such weights
    have mean and variance 1, as those of the bootstrap have, and cost one bit. Source: Owen and
    Eckles (2012), https://arxiv.org/abs/1106.2125, "double-or-nothing".

    The bits belong to an example's place in the pool. So under one seed all models, arms and
    attacks are resampled alike, and their figures may be averaged and subtracted one by one.
    """
    bytes_each = -(-num_resamples // 8)
    drawn = np.random.Generator(np.random.Philox(seed)).bytes(num_examples * bytes_each)
    return np.frombuffer(drawn, np.uint8).reshape(num_examples, bytes_each)


def drawn_bits(
    num_examples: int, num_resamples: int, seed: int, groups: np.ndarray | None = None
) -> np.ndarray:
    """Return who is in each resample of a pool, as `half_samples` does, group by group.

    Examples of a group are not independent, so it is groups that are resampled: a group's examples
    have the same bits, as in the bootstrap of clusters.

    Args:
        groups: (num_examples,) int from 0 on; None: each example by itself.
    """
    if groups is None:
        return half_samples(num_examples, num_resamples, seed)
    return half_samples(int(groups.max()) + 1, num_resamples, seed)[groups]


def resampled_figures(
    scores: np.ndarray,
    member: np.ndarray,
    places: np.ndarray,
    rates: Sequence[float],
    rule: Rule,
    num_resamples: int,
    seed: int,
    num_pool: int,
    groups: np.ndarray | None = None,
) -> np.ndarray:
    """Return the AUC and the TPR at each rate of one model, under each resample, (R, 1 + F).

    Args:
        scores: (N,) float.
        member: (N,) bool.
        places: (N,) int, of the examples in the pool, below `num_pool`.
        rates, rule: as for `resampled_tprs`.
        num_resamples: R.
        seed: the same for all that is to be compared.
        groups: as for `drawn_bits`.

    Raises:
        ValueError: a score is NaN, or there are no members or no non-members.
    """
    some = ranked(*judged(scores, member)).placed(places)
    bits = drawn_bits(num_pool, num_resamples, seed, groups)
    row = np.full((1, num_pool), -1, np.int8)
    row[0, places] = member
    sizes = drawn_sizes(row, bits, num_resamples)
    won = placements(some, num_pool)[None]
    tprs = resampled_tprs(some, bits, rates, rule, sizes[0])
    return np.hstack([resampled_aucs(won, row, bits, sizes)[0][:, None], tprs])


def drawn_sizes(rows: np.ndarray, bits: np.ndarray, num_resamples: int) -> np.ndarray:
    """Return how many members and non-members of K targets each resample has, (K, 2, R) int64.

    Args:
        rows: (K, N) int8 over the pool, 1 in, 0 out, -1 not judged.
        bits: from `half_samples`.
    """
    judged = rows >= 0
    if (judged == judged[0]).all():
        judged = judged[:1]  # of all targets alike

    def of_both(part: slice) -> np.ndarray:
        return np.concatenate([rows[:, part] == 1, judged[:, part]]).astype(np.float32)

    inside, of_judged = np.split(_drawn_sums(of_both, bits, num_resamples), [len(rows)])
    return np.stack([inside, of_judged - inside], axis=1).astype(np.int64)


def placements(some: Ranked, num_pool: int) -> np.ndarray:
    """Return twice how many of the other kind each example of a pool (N,) int32 outscores.

    Of a non-member it is how many members it does not outscore; 0 of what is not judged.

    Args:
        some: ranked, at their places in the pool.
    """
    found = np.zeros(num_pool, np.int32)
    found[some.inside] = some.beaten_by_high
    found[some.outside] = 2 * len(some.high) - some.beaten_by_low
    return found


def resampled_aucs(
    won: np.ndarray, rows: np.ndarray, bits: np.ndarray, sizes: np.ndarray
) -> np.ndarray:
    """Return the AUC of K targets under each resample of the examples, (K, R).

    It reweights each example's placement value (DeLong et al., 1988,
    https://doi.org/10.2307/2531595), which leaves out terms of 1 / N. The sums of all targets are
    one product with the bits; of whole numbers, so that they are exact in whatever order.

    Args:
        won: (K, N) int32, `placements`.
        rows: (K, N) int8, as for `drawn_sizes`.
        sizes: (K, 2, R) from there.
    """

    def of_both(part: slice) -> np.ndarray:
        kinds = [rows[:, part] == kind for kind in (1, 0)]
        return np.concatenate([won[:, part] * kind for kind in kinds]).astype(np.float64)

    inside, outside = np.split(_drawn_sums(of_both, bits, sizes.shape[2]), 2)
    num_in, num_out = (np.count_nonzero(rows == kind, axis=1)[:, None] for kind in (1, 0))
    # Not np.sum(where=), which takes nine times as long.
    of_members = [np.sum(own * (row == 1)) for own, row in zip(won, rows, strict=True)]
    auc = np.array(of_members, np.float64)[:, None] / (2 * num_in * num_out)
    drawn_in, drawn_out = (np.maximum(sizes[:, kind], 1) for kind in (0, 1))
    moved_in = (inside / (2 * num_out) - auc * sizes[:, 0]) / drawn_in
    moved_out = (outside / (2 * num_in) - auc * sizes[:, 1]) / drawn_out
    return auc + moved_in + moved_out


def _drawn_sums(
    terms: Callable[[slice], np.ndarray], bits: np.ndarray, num_resamples: int
) -> np.ndarray:
    """The sums (K, R) float64 over each resample of terms (K, n), given for some of the pool."""
    total = np.zeros(num_resamples)
    for start in range(0, len(bits), ROWS):
        part = slice(start, start + ROWS)
        some = terms(part)
        drawn = np.unpackbits(bits[part], axis=1, count=num_resamples)
        total = total + some @ drawn.astype(some.dtype)
    return total


def resampled_tprs(
    some: Ranked,
    bits: np.ndarray,
    rates: Sequence[float],
    rule: Rule,
    sizes: np.ndarray,
) -> np.ndarray:
    """Return the TPR at each rate of one model, under each resample of the examples, (R, F).

    By a step rule each resample has thresholds of its own, at the FPR that the whole sample
    reaches. Half as many non-members have steps twice as wide, so the TPRs at the two steps about
    that FPR are mixed. The lower step alone has an FPR that moves with the size of the resample,
    which all models share: that widened intervals of many models. By `interp` the two thresholds of
    the whole sample are mixed anew, which leaves out terms of 1 / N.

    Args:
        some: members and non-members, ranked, at their places in the pool.
        bits: of the whole pool, from `half_samples`.
        rates: F false positive rates.
        rule: as for `metrics.tpr_at_fpr`.
        sizes: (2, R) from `drawn_sizes`. A resample without members or without non-members, which
            takes a handful of examples, says nothing of its own of them: their share of what is
            above any threshold is then 0.
    """
    num_in, num_out = np.maximum(sizes, 1)
    inside, outside = some.inside, some.outside
    if rule == "interp":
        return _interpolated(some, bits, rates, num_in, num_out)
    reached = num_allowed(rates, len(outside), rule) / len(outside)
    allowed = reached[:, None] * num_out
    fewer = np.floor(allowed + ROUNDING)
    part = np.maximum(allowed - fewer, 0)
    asked = np.concatenate([fewer, fewer + 1]).astype(np.int64)
    most = asked.max(axis=0)
    first = _counted(bits, outside, len(num_in), lambda _, before: bool((before > most).all()))
    threshold = np.append(some.low, -np.inf)[first.first_beyond(asked)]
    admitted = len(inside) - np.searchsorted(some.high[::-1], threshold, side="right")
    counts = _in_first(bits, inside, admitted)
    with_fewer, with_more = np.split(counts / num_in, 2)
    return (with_fewer + part * (with_more - with_fewer)).T


def _interpolated(
    some: Ranked,
    bits: np.ndarray,
    rates: Sequence[float],
    num_in: np.ndarray,
    num_out: np.ndarray,
) -> np.ndarray:
    """The TPRs (R, F) by the corners of the whole sample's hull about each rate."""
    scores = np.concatenate([some.high, some.low])
    fpr, tpr = hull(*roc(scores, np.arange(len(scores)) < len(some.high)))
    right = np.searchsorted(fpr, rates, side="right")
    right = np.clip(right, 1, len(fpr) - 1)
    ends = np.concatenate([right - 1, right])  # the lower corner of each rate, then the higher one
    true, false = (
        _in_first(bits, of, _rows_at(share[ends], len(of), len(num))) / num
        for of, share, num in ((some.inside, tpr, num_in), (some.outside, fpr, num_out))
    )
    (true, true_end), (false, false_end) = np.split(true, 2), np.split(false, 2)
    run = false_end - false
    slope = np.divide(true_end - true, run, out=np.zeros_like(run), where=run > 0)
    return np.clip(true + slope * (np.asarray(rates)[:, None] - false), 0, 1).T


def _rows_at(shares: np.ndarray, num_rows: int, num: int) -> np.ndarray:
    """Shares (F,) of so many rows as whole numbers, for each resample (F, R)."""
    return np.rint(shares * num_rows).astype(np.int64)[:, None].repeat(num, axis=1)


def num_allowed(rates: Sequence[float] | np.ndarray, num_out: int, rule: Rule) -> np.ndarray:
    """Return how many of `num_out` non-members may be above a threshold, for each rate, int64."""
    asked = np.asarray(rates)[..., None]
    near = np.floor(asked * num_out) + np.arange(-1, 2)  # what rounding may have moved
    share = near / num_out
    within = share <= asked if rule == "step_le" else share < asked
    return np.where(within, near, -1).max(axis=-1).astype(np.int64)


class Counted(NamedTuple):
    """How many of the first rows each resample has, found without a count after every row."""

    bits: np.ndarray  # (n, ceil(R / 8)) uint8, of examples in falling order of their scores
    before: np.ndarray  # (chunks + 1, R) int64, of the rows before each chunk of ROWS, and of all

    def first_beyond(self, allowed: np.ndarray) -> np.ndarray:
        """Return the first row that is one more than (F, R) `allowed`, or how many rows."""
        chunk = np.count_nonzero(self.before[1:, None] <= allowed, axis=0)
        found = np.minimum(chunk * ROWS, len(self.bits))
        for queries, parts, before in self._chunks(chunk):
            r, rest = queries[1], allowed[queries] - self.before[chunk[queries], queries[1]]
            step = np.count_nonzero(before[1:, r] <= rest, axis=0)
            running = parts[step, :, r].cumsum(axis=1, dtype=np.uint8)
            more = np.count_nonzero(running <= (rest - before[step, r])[:, None], axis=1)
            found[queries] += step * STEP + more
        return found

    def in_first(self, rows: np.ndarray) -> np.ndarray:
        """Return how many of the first (F, R) `rows` each resample has."""
        chunk, rest = np.divmod(rows, ROWS)
        found = np.take_along_axis(self.before, chunk, axis=0)
        for queries, parts, before in self._chunks(chunk):
            step, more = np.divmod(rest[queries], STEP)
            there = parts[np.minimum(step, len(parts) - 1), :, queries[1]]
            there = np.sum(there, axis=1, dtype=np.int64, where=np.arange(STEP) < more[:, None])
            found[queries] += before[step, queries[1]] + there
        return found

    def _chunks(
        self, chunk: np.ndarray
    ) -> Iterator[tuple[tuple[np.ndarray, ...], np.ndarray, np.ndarray]]:
        """Each chunk that (F, R) queries lie in: which they are, its bits (S, STEP, R), and how
        many of them are before each step, (S + 1, R)."""
        for number in np.unique(chunk[chunk < len(self.before) - 1]):
            parts = _unpacked(self.bits[number * ROWS : (number + 1) * ROWS], chunk.shape[1])
            before = np.zeros((len(parts) + 1, chunk.shape[1]), np.int64)
            np.cumsum(parts.sum(axis=1, dtype=np.uint8), axis=0, out=before[1:])
            yield np.nonzero(chunk == number), parts, before


def _unpacked(rows: np.ndarray, num: int) -> np.ndarray:
    """The bits (n, ceil(R / 8)) of some rows as (S, STEP, R) of 0 and 1, with rows of 0 after."""
    drawn = np.unpackbits(rows, axis=1, count=num)
    if more := -len(rows) % STEP:
        drawn = np.vstack([drawn, np.zeros((more, num), np.uint8)])
    return drawn.reshape(-1, STEP, num)


def _in_first(bits: np.ndarray, places: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """How many of the first (F, R) `rows` of examples at some places each resample has."""
    most = rows.max()
    return _counted(bits, places, rows.shape[1], lambda done, _: done > most).in_first(rows)


def _counted(
    bits: np.ndarray,
    places: np.ndarray,
    num: int,
    enough: Callable[[int, np.ndarray], bool],
) -> Counted:
    """How many of the first examples at some places each resample has, until that is enough.

    Args:
        enough: whether no more is asked, of the number of rows counted and the counts (R,) in them.
    """
    rows, before = [bits[:0]], [np.zeros(num, np.int64)]
    for start in range(0, len(places), ROWS):
        if enough(start, before[-1]):
            break
        # Not bits[places], which takes four times as long.
        rows.append(bits.take(places[start : start + ROWS], axis=0))
        counts = _unpacked(rows[-1], num).sum(axis=1, dtype=np.uint8)
        before.append(before[-1] + counts.sum(axis=0, dtype=np.int64))
    return Counted(np.concatenate(rows), np.array(before))
