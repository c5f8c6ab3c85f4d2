"""Figures of one model over again, under other draws of the examples: what intervals are made of.

Letters: N examples, R resamples, F false positive rates.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from runner.statistics.metrics import Rule, hull, judged, roc

ROWS = 8192  # examples whose bits are unpacked at once
CELLS = 4_000_000  # bits that are added up at once
ROUNDING = 1e-6  # of a count of non-members


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
    """Return the AUC and the TPR at each rate of one model, under each resample of the examples.

    By a step rule each resample has thresholds of its own, at the FPR that the whole sample
    reaches. Half as many non-members have steps twice as wide, so the TPRs at the two steps about
    that FPR are mixed. The lower step alone has an FPR that moves with the size of the resample,
    which all models share: that widened intervals of many models. By `interp` the two thresholds of
    the whole sample are mixed anew, and the AUC reweights each example's placement value (DeLong et
    al., 1988, https://doi.org/10.2307/2531595); both leave out terms of 1 / N.

    Args:
        scores: (N,) float.
        member: (N,) bool.
        places: (N,) int, of the examples in the pool, below `num_pool`.
        rates: F false positive rates.
        rule: as for `metrics.tpr_at_fpr`.
        num_resamples: R.
        seed: the same for all that is to be compared.

    Returns:
        (R, 1 + F) float64: the AUC, then the TPRs. A resample without members or without
        non-members, which takes a handful of examples, says nothing of its own of them: their
        share of what is above any threshold is then 0.

    Raises:
        ValueError: a score is NaN, or there are no members or no non-members.
    """
    scores, member = judged(scores, member)
    bits = half_samples(num_pool, num_resamples, seed)
    order = np.argsort(-scores, kind="stable")
    inside, outside = order[member[order]], order[~member[order]]
    high, low = scores[inside], scores[outside]  # both falling
    of_high, of_low = bits[places[inside]], bits[places[outside]]
    above = _placements(low, high)
    auc = 1 - above.mean()
    num_in, of_auc_in = _sums(of_high, _placements(high, low) - auc, num_resamples)
    num_out, of_auc_out = _sums(of_low, 1 - above - auc, num_resamples)
    figures = np.empty((num_resamples, 1 + len(rates)))
    figures[:, 0] = auc + of_auc_in / num_in + of_auc_out / num_out
    if rule == "interp":
        fpr, tpr = hull(*roc(scores, member))
        for f, rate in enumerate(rates, 1):
            right = min(max(int(np.searchsorted(fpr, rate, side="right")), 1), len(fpr) - 1)
            ends = slice(right - 1, right + 1)
            rows_in = np.rint(tpr[ends] * len(high)).astype(int)[:, None]
            rows_out = np.rint(fpr[ends] * len(low)).astype(int)[:, None]
            true = _in_first(of_high, rows_in.repeat(num_resamples, 1)) / num_in
            false = _in_first(of_low, rows_out.repeat(num_resamples, 1)) / num_out
            run = false[1] - false[0]
            slope = np.divide(true[1] - true[0], run, out=np.zeros_like(run), where=run > 0)
            figures[:, f] = np.clip(true[0] + slope * (rate - false[0]), 0, 1)
        return figures
    reached = np.array([_allowed(rate, len(low), rule) for rate in rates]) / len(low)
    allowed = reached[:, None] * num_out
    fewer = np.floor(allowed + ROUNDING)
    part = np.maximum(allowed - fewer, 0)
    first_not = _first_beyond(of_low, np.concatenate([fewer, fewer + 1]).astype(np.int64))
    threshold = np.append(low, -np.inf)[first_not]
    admitted = len(high) - np.searchsorted(high[::-1], threshold, side="right")
    with_fewer, with_more = np.split(_in_first(of_high, admitted) / num_in, 2)
    figures[:, 1:] = (with_fewer + part * (with_more - with_fewer)).T
    return figures


def _placements(of: np.ndarray, among: np.ndarray) -> np.ndarray:
    """The share of `among`, falling, that is below each value; a tie counts half."""
    rising = among[::-1]
    below = np.searchsorted(rising, of, side="left")
    return (below + np.searchsorted(rising, of, side="right")) / (2 * len(among))


def _sums(bits: np.ndarray, values: np.ndarray, num: int) -> tuple[np.ndarray, np.ndarray]:
    """How many examples each resample has, at least 1, and the sum of their values, (R,) each."""
    terms = np.stack([np.ones(len(values)), values]).astype(np.float32)
    total = np.zeros((2, num))
    for start in range(0, len(values), ROWS):
        some = slice(start, start + ROWS)
        total += terms[:, some] @ np.unpackbits(bits[some], axis=1, count=num).astype(np.float32)
    return np.maximum(total[0], 1), total[1]


def _allowed(rate: float, num_out: int, rule: Rule) -> int:
    """How many of `num_out` non-members may be above a threshold."""
    near = np.floor(rate * num_out) + np.arange(-1, 2)  # what rounding may have moved
    share = near / num_out
    within = share <= rate if rule == "step_le" else share < rate
    return int(near[within].max())


def _first_beyond(bits: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """The first row that is one more than (F, R) `allowed` of its resample; else how many rows."""
    most, found = int(allowed.max()), np.empty(allowed.shape, np.int64)
    rows = min(len(bits), int(2 * most + 8 * np.sqrt(2 * most) + 64))  # about half of them count
    for columns, counts in _running(bits[:rows], allowed.shape[1]):
        for f, of_rate in enumerate(allowed[:, columns]):
            found[f, columns] = np.count_nonzero(counts <= of_rate, axis=0)
    # Not seen in a top of this size: eight standard errors of a resample's count.
    assert rows == len(bits) or not np.any(found == rows)
    return found


def _in_first(bits: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """How many of the first (F, R) `rows` each resample has."""
    found = np.zeros(rows.shape, np.int64)
    for columns, counts in _running(bits[: rows.max()], rows.shape[1]):
        last = np.maximum(rows[:, columns] - 1, 0)
        found[:, columns] = np.take_along_axis(counts, last, axis=0) if len(counts) else 0
    return np.where(rows > 0, found, 0)


def _running(bits: np.ndarray, num: int) -> Iterator[tuple[slice, np.ndarray]]:
    """How many of the first 1, 2, ... rows each resample has, some resamples at a time."""
    step = max(1, CELLS // max(8 * len(bits), 1))  # in bytes of eight resamples
    for start in range(0, bits.shape[1], step):
        some = np.unpackbits(bits[:, start : start + step], axis=1)
        columns = slice(8 * start, min(8 * (start + some.shape[1] // 8), num))
        yield columns, some[:, : columns.stop - columns.start].cumsum(axis=0, dtype=np.int32)
