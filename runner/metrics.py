"""ROC curves, true-positive rates at small false-positive rates, AUC, and intervals over models.

Scores are higher for likelier members. Letters: M models, N examples, K points of a curve.
"""

from typing import Literal, NamedTuple

import numpy as np
from scipy.special import stdtrit

Rule = Literal["step_le", "step_lt", "interp"]


class Interval(NamedTuple):
    """A mean over models and its 95 % interval."""

    mean: float
    low: float
    high: float
    num_models: int


def roc(scores: np.ndarray, member: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the exact ROC curve as (fpr, tpr), one point for each distinct score.

    Examples of equal score are admitted together: no threshold can part them, so a curve that
    did would credit the order in which they happen to be stored.

    Args:
        scores: (N,) float; infinities are scores like any other.
        member: (N,) bool.

    Returns:
        Two (K,) float64 arrays, both rising, from (0, 0) to (1, 1).

    Raises:
        ValueError: a score is NaN, or there are no members or no non-members.
    """
    scores, member = _judged(scores, member)
    order = np.argsort(-scores, kind="stable")
    scores, member = scores[order], member[order]
    last_of_ties = np.append(scores[1:] != scores[:-1], True)
    true = np.cumsum(member)[last_of_ties]
    false = np.cumsum(~member)[last_of_ties]
    return np.append(0.0, false / false[-1]), np.append(0.0, true / true[-1])


def tpr_at_fpr(fpr: np.ndarray, tpr: np.ndarray, at: float, rule: Rule = "step_le") -> float:
    """Return the largest TPR that an attacker reaches while the FPR stays within `at`.

    Three rules are in use, and at small `at` they differ by whole percents:
        step_le: among thresholds with FPR <= at. privacy_meter, LiRA in DeMem's code.
        step_lt: among thresholds with FPR < at. Carlini et al.'s plot.py.
        interp: linear between neighbours on the concave hull of the curve, which a randomised
            threshold reaches; at FPR 0 it is step_le. jax_privacy's auditing.

    Args:
        fpr: (K,) from `roc`.
        tpr: (K,) from `roc`.
        at: a false-positive rate in [0, 1].

    Raises:
        ValueError: `at` is outside [0, 1], or is 0 under step_lt, where no threshold qualifies.
    """
    if not 0 <= at <= 1:
        raise ValueError(f"expected a false-positive rate in [0, 1], got {at}")
    if rule == "interp":
        fpr, tpr = _hull(fpr, tpr)
        return float(np.interp(at, fpr, tpr))
    last = np.searchsorted(fpr, at, side="right" if rule == "step_le" else "left") - 1
    if last < 0:
        raise ValueError("no threshold has a false-positive rate below 0; ask for step_le")
    return float(tpr[last])


def auc(scores: np.ndarray, member: np.ndarray) -> float:
    """Return the probability that a member outscores a non-member; a tie counts half.

    Args:
        scores: (N,) float.
        member: (N,) bool.

    Raises:
        ValueError: a score is NaN, or there are no members or no non-members.
    """
    scores, member = _judged(scores, member)
    negatives = np.sort(scores[~member])
    below = np.searchsorted(negatives, scores[member], side="left")
    not_above = np.searchsorted(negatives, scores[member], side="right")
    return float((below + not_above).mean() / (2 * len(negatives)))


def mean_interval(
    values: np.ndarray,
    partner: np.ndarray | None = None,
    bounds: tuple[float, float] = (0.0, 1.0),
) -> Interval:
    """Return the mean over models and its 95 % Student-t interval, clipped to `bounds`.

    Models trained on complementary halves are not independent: what one half has drawn, the other
    lacks. So each pair is averaged first, and the pairs are the units that the interval counts.
    From a single unit the spread is unknown, and the interval is `bounds`. Units that all agree
    give an interval of no width: it speaks of the spread between units, not of N.

    Args:
        values: (M,) float, one figure per model.
        partner: (M,) int, the position in `values` of each model's complement; its own position
            or -1 where it has none. None: all models are independent.
        bounds: the least and greatest value that is possible.

    Raises:
        ValueError: there is no value, or one is not finite, or partners do not name each other.
    """
    values = np.asarray(values, dtype=np.float64)
    num_models = len(values)
    if num_models == 0:
        raise ValueError("expected a value per model, got none")
    if bad := int((~np.isfinite(values)).sum()):
        raise ValueError(f"{bad} of {num_models} values are not finite")
    models = np.arange(num_models)
    other = models if partner is None else np.where(np.asarray(partner) < 0, models, partner)
    if np.any(other >= num_models) or np.any(other[other] != models):
        raise ValueError(f"expected partners that name each other's positions, got {partner}")
    units = ((values + values[other]) / 2)[models <= other]
    mean = float(units.mean())
    if len(units) == 1:
        return Interval(mean, *bounds, num_models)
    error = units.std(ddof=1) / np.sqrt(len(units))
    reach = float(stdtrit(len(units) - 1, 0.975) * error)
    return Interval(mean, max(mean - reach, bounds[0]), min(mean + reach, bounds[1]), num_models)


def normal_interval(values: np.ndarray, bounds: tuple[float, float] = (0.0, 1.0)) -> Interval:
    """Return the mean over models +- 1.96 standard errors, as if they were independent.

    Narrower than `mean_interval`: it takes neither pairs nor the spread's own error into account.
    DeMem's official code states its figures so, over 10 models.

    Args:
        values: (M,) float, one figure per model; all finite.
        bounds: what the interval is clipped to, and what it is with a single model.
    """
    values = np.asarray(values, dtype=np.float64)
    if not len(values) or not np.isfinite(values).all():
        raise ValueError(f"expected a finite value per model, got {values}")
    mean = float(values.mean())
    if len(values) == 1:
        return Interval(mean, *bounds, 1)
    reach = 1.96 * float(values.std(ddof=1)) / np.sqrt(len(values))
    return Interval(mean, max(mean - reach, bounds[0]), min(mean + reach, bounds[1]), len(values))


def smallest_fpr(num_negatives: int) -> float:
    """Return the smallest FPR above 0 that this many non-members can show: one false positive."""
    if num_negatives < 1:
        raise ValueError(f"expected one non-member or more, got {num_negatives}")
    return 1 / num_negatives


def roc_grid() -> np.ndarray:
    """Return the (201,) false-positive rates, from 1e-5 to 1, at which ROC curves are averaged.

    Even steps of the logarithm, 40 a decade. Rounded to six digits, so that 0.001 is the double
    0.001, and step_le at the grid agrees with step_le at the number a user writes.
    """
    return np.array([float(f"{x:.6g}") for x in np.logspace(-5, 0, 201)])


def roc_on_grid(fpr: np.ndarray, tpr: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Return the TPR at each FPR of `grid`, by step_le; of the grid's shape, float64."""
    return tpr[np.searchsorted(fpr, grid, side="right") - 1]


def _judged(scores: np.ndarray, member: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return float64 scores and bool membership, or say why they have no ROC curve."""
    scores, member = np.asarray(scores, dtype=np.float64), np.asarray(member, dtype=bool)
    if scores.ndim != 1 or scores.shape != member.shape:
        raise ValueError(f"expected (N,) scores and members, got {scores.shape}, {member.shape}")
    if bad := int(np.isnan(scores).sum()):
        raise ValueError(f"{bad} of {len(scores)} scores are NaN")
    if member.all() or not member.any():
        raise ValueError(f"expected members and non-members, got {member.sum()} of {len(member)}")
    return scores, member


def _hull(fpr: np.ndarray, tpr: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the corners of the smallest concave curve above a ROC curve."""
    corners: list[int] = []
    for i in np.flatnonzero(np.append(fpr[1:] != fpr[:-1], True)):  # the top of each vertical run
        while len(corners) > 1:
            a, b = corners[-2], corners[-1]
            rise, run = tpr[b] - tpr[a], fpr[b] - fpr[a]
            if rise * (fpr[i] - fpr[a]) > (tpr[i] - tpr[a]) * run:
                break
            corners.pop()
        corners.append(int(i))
    return fpr[corners], tpr[corners]
