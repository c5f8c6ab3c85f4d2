"""Epsilon from the scores of trials, where the threshold is not known beforehand."""

import numpy as np

from attacks.epsilon.rates import check_options, epsilon_lower_bound, lower_bounds


def split_sample_bound(
    scores_in: np.ndarray,
    scores_out: np.ndarray,
    delta: float,
    confidence: float = 0.95,
    seed: int = 0,
) -> float:
    """Return `epsilon_lower_bound` at a threshold that a random half of the trials chose.

    The bound is of the other half, which the choice knows nothing of. The choosing half takes the
    threshold where its own bound is largest, and of several scores of each trial the best one.

    Args:
        scores_in: (n,) or (n, S) float, n >= 2, of each trial with a member, S scores of it; the
            trials independent.
        scores_out: (n',) or (n', S) float, n' >= 2, of the trials without.
        delta: in [0, 1).
        confidence: the probability, in (0, 1), that the bound holds.
        seed: of the halves; settle it beforehand, for the best of several is no bound.

    Returns:
        epsilon in nats, 0 or more.

    Raises:
        ValueError: an argument is outside its range.
    """
    check_options(delta, confidence, 1)
    if min(len(scores_in), len(scores_out)) < 2:
        raise ValueError(
            "expected 2 trials or more with a member and 2 without, to choose by one half and "
            f"count by the other, got {len(scores_in)} and {len(scores_out)}; run more trials"
        )
    random = np.random.default_rng(seed)
    choosing, counting = [], []
    for scores in (_numbers(scores_in), _numbers(scores_out)):
        shuffled = random.permutation(scores.reshape(len(scores), -1)).T
        choosing.append(shuffled[:, : len(scores) // 2])
        counting.append(shuffled[:, len(scores) // 2 :])
    halves = zip(choosing[0], choosing[1], strict=True)
    found = [_best(ins, outs, delta, (1 - confidence) / 2) for ins, outs in halves]
    column = int(np.argmax([bound for bound, _ in found]))
    return _bound(found[column][1], counting[0][column], counting[1][column], delta, confidence)


def _bound(
    threshold: float,
    scores_in: np.ndarray,
    scores_out: np.ndarray,
    delta: float,
    confidence: float,
) -> float:
    """The bound at one threshold."""
    hits, alarms = (int(np.sum(scores >= threshold)) for scores in (scores_in, scores_out))
    return epsilon_lower_bound(hits, len(scores_in), alarms, len(scores_out), delta, confidence)


def _best(
    scores_in: np.ndarray, scores_out: np.ndarray, delta: float, error: float
) -> tuple[float, float]:
    """The largest bound of all thresholds, with nothing paid for their number, and where it is."""
    thresholds = np.unique(np.concatenate([scores_in, scores_out]))
    hits, alarms = (
        len(scores) - np.searchsorted(np.sort(scores), thresholds)
        for scores in (scores_in, scores_out)
    )
    bounds = lower_bounds(hits, len(scores_in), alarms, len(scores_out), delta, error)
    # Of equal bounds the middle one: where all are 0, the first would call everybody a member.
    best = np.flatnonzero(bounds == bounds.max())
    return float(bounds.max()), float(thresholds[best[len(best) // 2]])


def _numbers(scores: np.ndarray) -> np.ndarray:
    scores = np.asarray(scores, np.float64)
    if np.isnan(scores).any():
        raise ValueError(
            f"expected a number for each trial, got {np.isnan(scores).sum()} NaN; a trial "
            "cannot be left out after the fact, so give it the score that says least"
        )
    return scores
