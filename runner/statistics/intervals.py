"""Intervals, of 95 % unless asked otherwise: of a mean over models, and of a share.

Letters: M models, U units (pairs of models), R resamples of the examples.
"""

from typing import NamedTuple

import numpy as np

Bounds = tuple[float, float]  # the least and the greatest value that is possible
ERROR = 0.05  # how often an interval may miss


class Interval(NamedTuple):
    """A mean over models and its interval."""

    mean: float
    low: float
    high: float
    num_models: int


def mean_interval(
    values: np.ndarray,
    partner: np.ndarray | None = None,
    bounds: Bounds = (0.0, 1.0),
    error: float = ERROR,
) -> Interval:
    """Return the mean over models and its 95 % Student-t interval, clipped to `bounds`.

    Models trained on complementary halves are not independent: what one half has drawn, the other
    lacks. So each pair is averaged first, and the pairs are the units that the interval counts.
    From a single unit the spread is unknown, and the interval is `bounds`. Units that all agree
    give an interval of no width: it speaks of the spread between units, not of N. The examples are
    taken as they are: of new models on the same examples it speaks, of new examples it does not.

    Args:
        values: (M,) float, one figure per model.
        partner: (M,) int, the position in `values` of each model's complement; its own position
            or -1 where it has none. None: all models are independent.
        bounds: the least and greatest value that is possible.
        error: how often the interval may miss; less where several are to hold together.

    Raises:
        ValueError: there is no value, or one is not finite, or partners do not name each other.
    """
    units, num_models = _units(values, partner)
    mean = float(units.mean())
    if len(units) == 1:
        return Interval(mean, *bounds, num_models)
    deviation = units.std(ddof=1) / np.sqrt(len(units))
    from scipy.special import stdtrit  # not where an experiment's keys are read

    reach = float(stdtrit(len(units) - 1, 1 - error / 2) * deviation)
    return _within(mean, reach, bounds, num_models)


def bootstrap_interval(
    point: np.ndarray,
    replicates: np.ndarray,
    partner: np.ndarray | None = None,
    bounds: Bounds = (0.0, 1.0),
    error: float = ERROR,
) -> Interval:
    """Return the mean over models and a 95 % interval for new pairs of models on new examples.

    All models are judged on the same examples, so what an example adds to one it adds to all, and
    more models do not average it out. The variance is the one that `mean_interval` has, between
    units, and the covariance of two units' figures over the resamples, averaged over all pairs of
    different units: what the examples do to all of them alike. Summing the two levels' variances
    as they are would count the noise of each score in both. Student's factor lies midway between
    two: that of Satterthwaite's degrees of freedom, which is too small where few units happen to
    agree, and the mean of the two levels' factors, weighted by their variances, which is too large.
    Of 4 pairs the first held 92 times in 100 and the second 98 at worst. Between finite bounds the
    interval is symmetric in log-odds, since TPRs at small FPRs are skewed.

    Source: multiway clustering, Cameron, Gelbach and Miller (2011),
    https://doi.org/10.1198/jbes.2010.07136, with the covariance of different units alone, which is
    unbiased for few units; Owen and Eckles (2012), https://arxiv.org/abs/1106.2125, on resampling
    both levels; Cochran and Cox (1957), Experimental Designs, section 4.14, on the second factor.

    From 4 pairs on it held the truth 93 to 97 times in 100 in all simulations, which are in
    docs/threat_models.md. It takes models for independent but for the examples that they share:
    shadows that targets share are not accounted for. From a single unit it is of that unit on new
    examples, and says nothing of new models. Where every resample of every model agrees, as at a
    TPR of 0, it has no width.

    Args:
        point: (M,) float, one figure per model.
        replicates: (M, R) float, the same figures under R resamples of the examples, which are the
            same for all models (`resampling.resampled_figures`).
        partner: as for `mean_interval`.
        bounds: the least and greatest value that is possible.
        error: as for `mean_interval`.

    Raises:
        ValueError: as for `mean_interval`, or there are fewer than two resamples.
    """
    from scipy.special import expit, logit, stdtrit

    units, num_models = _units(point, partner)
    resampled, _ = _units(replicates, partner)
    mean, num_units = float(units.mean()), len(units)
    if resampled.ndim != 2 or resampled.shape[1] < 2:
        raise ValueError(f"expected (M, R) replicates, two or more, got {np.shape(replicates)}")
    cells = resampled.var(axis=1, ddof=1)
    if num_units == 1:
        own, shared = 0.0, float(cells[0])
    else:
        own = float(units.var(ddof=1)) / num_units
        total = float(resampled.mean(axis=0).var(ddof=1))
        shared = max(0.0, (total - float(cells.mean()) / num_units) * num_units / (num_units - 1))
    variance = own + shared
    if not variance:
        return Interval(mean, mean, mean, num_models)
    parts, freedoms = np.array([own, shared]), [max(num_units - 1, 1), resampled.shape[1] - 1]
    joint = stdtrit(variance**2 / (parts**2 / freedoms).sum(), 1 - error / 2)
    separate = parts @ stdtrit(freedoms, 1 - error / 2) / variance
    reach = float(joint + separate) / 2 * variance**0.5
    share, span = (mean - bounds[0]) / (bounds[1] - bounds[0]), bounds[1] - bounds[0]
    if not (np.isfinite(span) and 0 < share < 1):
        return _within(mean, reach, bounds, num_models)
    odds, reach = logit(share), reach / (span * share * (1 - share))
    low, high = (bounds[0] + span * float(expit(end)) for end in (odds - reach, odds + reach))
    return Interval(mean, low, high, num_models)


def normal_interval(
    values: np.ndarray, bounds: Bounds = (0.0, 1.0), error: float = ERROR
) -> Interval:
    """Return the mean over models +- 1.96 standard errors, as if they were independent.

    Narrower than `mean_interval`: it takes neither pairs nor the spread's own error into account.
    DeMem's official code states its figures so, over 10 models.

    Args:
        values: (M,) float, one figure per model; all finite.
        bounds: what the interval is clipped to, and what it is with a single model.
        error: as for `mean_interval`; of another than 5 % the 1.96 grows as the normal's quantile.
    """
    from scipy.special import ndtri

    values, num_models = _units(values, None)
    mean = float(values.mean())
    if num_models == 1:
        return Interval(mean, *bounds, 1)
    errors = 1.96 * float(ndtri(1 - error / 2) / ndtri(1 - ERROR / 2))
    reach = errors * float(values.std(ddof=1)) / np.sqrt(num_models)
    return _within(mean, reach, bounds, num_models)


def clopper_pearson(
    successes: np.ndarray | int, trials: np.ndarray | int, confidence: float = 0.95
) -> tuple[np.ndarray, np.ndarray]:
    """Return the exact interval of a share, from independent trials with one probability.

    It holds the truth at least so often as `confidence` says, whatever the probability. For the TPR
    of one model at a threshold that was fixed without its examples; not where the threshold is a
    quantile of the same model's non-members, nor for a mean over models, whose trials depend on
    each other.

    Source: Clopper and Pearson (1934), https://doi.org/10.1093/biomet/26.4.404.

    Args:
        successes: int, of any shape.
        trials: int, of a shape that goes with it; 1 or more.

    Returns:
        The lower and the upper ends, float64.

    Raises:
        ValueError: more successes than trials, or fewer than 0, or no trial.
    """
    from scipy.special import betaincinv

    successes, trials = np.broadcast_arrays(successes, trials)
    if np.any(trials < 1) or np.any(successes < 0) or np.any(successes > trials):
        raise ValueError(f"expected 0 to `trials` successes, got {successes} of {trials}")
    tail, failures = (1 - confidence) / 2, trials - successes
    with_one = np.maximum(successes, 1), np.maximum(failures, 1)  # where there is none: 0 and 1
    low = np.where(successes > 0, betaincinv(with_one[0], failures + 1, tail), 0.0)
    high = np.where(failures > 0, betaincinv(successes + 1, with_one[1], 1 - tail), 1.0)
    return low, high


def _units(values: np.ndarray, partner: np.ndarray | None) -> tuple[np.ndarray, int]:
    """Average (M, ...) values pair by pair: (U, ...), and M."""
    values = np.asarray(values, dtype=np.float64)
    num_models = len(values)
    if num_models == 0:
        raise ValueError("expected a value per model, got none")
    if bad := int((~np.isfinite(values)).sum()):
        raise ValueError(f"{bad} of {values.size} values are not finite")
    models = np.arange(num_models)
    other = models if partner is None else np.where(np.asarray(partner) < 0, models, partner)
    if np.any(other >= num_models) or np.any(other[other] != models):
        raise ValueError(f"expected partners that name each other's positions, got {partner}")
    return ((values + values[other]) / 2)[models <= other], num_models


def _within(mean: float, reach: float, bounds: Bounds, num_models: int) -> Interval:
    """The interval about a mean, clipped."""
    return Interval(mean, max(mean - reach, bounds[0]), min(mean + reach, bounds[1]), num_models)
