"""Figures of one model over again, under other draws of the examples: what intervals are made of.

Letters: N examples, R resamples, F false positive rates.
"""

from collections.abc import Iterator, Sequence
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


def resampled_figures(
    scores: np.ndarray,
    member: np.ndarray,
    places: np.ndarray,
    rates: Sequence[float],
    rule: Rule,
    num_resamples: int,
    seed: int,
    num_pool: int,
) -> np.ndarray:
    """Return the figures of one model under each resample: `resampled` of scores as they come.

    Args:
        scores: (N,) float.
        member: (N,) bool.
        places: (N,) int, of the examples in the pool, below `num_pool`.
        rates, rule, num_resamples: as for `resampled`.
        seed: the same for all that is to be compared.

    Raises:
        ValueError: a score is NaN, or there are no members or no non-members.
    """
    some = ranked(*judged(scores, member))
    bits = half_samples(num_pool, num_resamples, seed)
    return resampled(some, places, bits, rates, rule, num_resamples)


def resampled(
    some: Ranked,
    places: np.ndarray,
    bits: np.ndarray,
    rates: Sequence[float],
    rule: Rule,
    num_resamples: int,
) -> np.ndarray:
    """Return the AUC and the TPR at each rate of one model, under each resample of the examples.

    By a step rule each resample has thresholds of its own, at the FPR that the whole sample
    reaches. Half as many non-members have steps twice as wide, so the TPRs at the two steps about
    that FPR are mixed. The lower step alone has an FPR that moves with the size of the resample,
    which all models share: that widened intervals of many models. By `interp` the two thresholds of
    the whole sample are mixed anew, and the AUC reweights each example's placement value (DeLong et
    al., 1988, https://doi.org/10.2307/2531595); both leave out terms of 1 / N.

    Args:
        some: the members and non-members among N examples, ranked.
        places: (N,) int, of the examples in the pool.
        bits: of the whole pool, from `half_samples`.
        rates: F false positive rates.
        rule: as for `metrics.tpr_at_fpr`.
        num_resamples: R.

    Returns:
        (R, 1 + F) float64: the AUC, then the TPRs. A resample without members or without
        non-members, which takes a handful of examples, says nothing of its own of them: their
        share of what is above any threshold is then 0.
    """
    high, low = some.high, some.low
    above = some.beaten_by_low / (2 * len(high))
    auc = 1 - above.mean()
    below = some.beaten_by_high / (2 * len(low))
    inside, of_auc_in = _counted(bits, places[some.inside], below - auc, num_resamples)
    outside, of_auc_out = _counted(bits, places[some.outside], 1 - above - auc, num_resamples)
    num_in, num_out = (np.maximum(each.before[-1], 1) for each in (inside, outside))
    figures = np.empty((num_resamples, 1 + len(rates)))
    figures[:, 0] = auc + of_auc_in / num_in + of_auc_out / num_out
    if rule == "interp":
        figures[:, 1:] = _interpolated(some, inside, outside, rates)
        return figures
    reached = np.array([_allowed(rate, len(low), rule) for rate in rates]) / len(low)
    allowed = reached[:, None] * num_out
    fewer = np.floor(allowed + ROUNDING)
    part = np.maximum(allowed - fewer, 0)
    first_not = outside.first_beyond(np.concatenate([fewer, fewer + 1]).astype(np.int64))
    threshold = np.append(low, -np.inf)[first_not]
    admitted = len(high) - np.searchsorted(high[::-1], threshold, side="right")
    with_fewer, with_more = np.split(inside.in_first(admitted) / num_in, 2)
    figures[:, 1:] = (with_fewer + part * (with_more - with_fewer)).T
    return figures


def _interpolated(
    some: Ranked, inside: "Counted", outside: "Counted", rates: Sequence[float]
) -> np.ndarray:
    """The TPRs (R, F) by the corners of the whole sample's hull about each rate."""
    scores = np.concatenate([some.high, some.low])
    fpr, tpr = hull(*roc(scores, np.arange(len(scores)) < len(some.high)))
    num_in, num_out = (np.maximum(each.before[-1], 1) for each in (inside, outside))
    found = []
    for rate in rates:
        right = min(max(int(np.searchsorted(fpr, rate, side="right")), 1), len(fpr) - 1)
        ends = slice(right - 1, right + 1)
        rows_in = np.rint(tpr[ends] * len(some.high)).astype(int)[:, None]
        rows_out = np.rint(fpr[ends] * len(some.low)).astype(int)[:, None]
        true = inside.in_first(rows_in.repeat(len(num_in), 1)) / num_in
        false = outside.in_first(rows_out.repeat(len(num_in), 1)) / num_out
        run = false[1] - false[0]
        slope = np.divide(true[1] - true[0], run, out=np.zeros_like(run), where=run > 0)
        found.append(np.clip(true[0] + slope * (rate - false[0]), 0, 1))
    return np.array(found).T


def _allowed(rate: float, num_out: int, rule: Rule) -> int:
    """How many of `num_out` non-members may be above a threshold."""
    near = np.floor(rate * num_out) + np.arange(-1, 2)  # what rounding may have moved
    share = near / num_out
    within = share <= rate if rule == "step_le" else share < rate
    return int(near[within].max())


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
            rows = self.bits[number * ROWS : (number + 1) * ROWS]
            parts = np.zeros((-(-len(rows) // STEP) * STEP, chunk.shape[1]), np.uint8)
            parts[: len(rows)] = np.unpackbits(rows, axis=1, count=chunk.shape[1])
            parts = parts.reshape(-1, STEP, chunk.shape[1])
            before = np.zeros((len(parts) + 1, chunk.shape[1]), np.int64)
            np.cumsum(parts.sum(axis=1, dtype=np.uint8), axis=0, out=before[1:])
            yield np.nonzero(chunk == number), parts, before


def _counted(
    bits: np.ndarray, places: np.ndarray, values: np.ndarray, num: int
) -> tuple[Counted, np.ndarray]:
    """How many of the examples at some places each resample has, and the sum (R,) of values."""
    rows = bits.take(places, axis=0)  # not bits[places], which takes four times as long
    terms = np.stack([np.ones(len(values)), values]).astype(np.float32)
    total, before = np.zeros((2, num)), [np.zeros(num)]
    for start in range(0, len(values), ROWS):
        some = slice(start, start + ROWS)
        total += terms[:, some] @ np.unpackbits(rows[some], axis=1, count=num).astype(np.float32)
        before.append(total[0].copy())
    return Counted(rows, np.array(before, np.int64)), total[1]
