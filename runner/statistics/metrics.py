"""ROC curves, true-positive rates at small false-positive rates, AUC.

Scores are higher for likelier members. Letters: N examples, K points of a curve.
"""

from typing import Literal

import numpy as np

Rule = Literal["step_le", "step_lt", "interp"]

FEW, LEAST = 200, 50  # points of a curve; and what part of them one look must take away
ROUNDING = 1e-14  # of a product of two rates; those of a million examples differ by 1e-12


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
    scores, member = judged(scores, member)
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
        fpr, tpr = hull(fpr, tpr)
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
    scores, member = judged(scores, member)
    negatives = np.sort(scores[~member])
    below = np.searchsorted(negatives, scores[member], side="left")
    not_above = np.searchsorted(negatives, scores[member], side="right")
    return float((below + not_above).mean() / (2 * len(negatives)))


def smallest_fpr(num_negatives: int) -> float:
    """Return the smallest FPR above 0 that this many non-members can show: one false positive."""
    if num_negatives < 1:
        raise ValueError(f"expected one non-member or more, got {num_negatives}")
    return 1 / num_negatives


def threshold_at_fpr(negatives: np.ndarray, rate: float) -> float:
    """Return the score above which an attacker says "member", with an FPR of `rate` at the most.

    The rule is step_le of `tpr_at_fpr`: of all such thresholds the one that finds most
    members. Scores equal to it are below it, since admitting one of them would admit all.

    Args:
        negatives: (n,) float, scores of non-members.
        rate: in [0, 1).

    Raises:
        ValueError: there is no non-member.
    """
    if not len(negatives):
        raise ValueError("expected one non-member or more, got none; score more of the examples")
    rates = np.arange(len(negatives) + 1) / len(negatives)
    allowed = np.searchsorted(rates, rate, side="right") - 1  # as many false positives
    return float(np.sort(negatives)[::-1][allowed])


def roc_grid() -> np.ndarray:
    """Return the (201,) false-positive rates, from 1e-5 to 1, at which ROC curves are averaged.

    Even steps of the logarithm, 40 a decade. Rounded to six digits, so that 0.001 is the double
    0.001, and step_le at the grid agrees with step_le at the number a user writes.
    """
    return np.array([float(f"{x:.6g}") for x in np.logspace(-5, 0, 201)])


def roc_on_grid(fpr: np.ndarray, tpr: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Return the TPR at each FPR of `grid`, by step_le; of the grid's shape, float64."""
    return tpr[np.searchsorted(fpr, grid, side="right") - 1]


def judged(scores: np.ndarray, member: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return float64 scores and bool membership, or say why they have no ROC curve."""
    scores, member = np.asarray(scores, dtype=np.float64), np.asarray(member, dtype=bool)
    if scores.ndim != 1 or scores.shape != member.shape:
        raise ValueError(f"expected (N,) scores and members, got {scores.shape}, {member.shape}")
    if bad := int(np.isnan(scores).sum()):
        raise ValueError(f"{bad} of {len(scores)} scores are NaN")
    if member.all() or not member.any():
        raise ValueError(f"expected members and non-members, got {member.sum()} of {len(member)}")
    return scores, member


def hull(fpr: np.ndarray, tpr: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the corners of the smallest concave curve above a ROC curve."""
    tops = np.flatnonzero(np.append(fpr[1:] != fpr[:-1], True))  # of each vertical run
    corners: list[int] = []
    for i in _without_dents(fpr, tpr, tops):
        while len(corners) > 1:
            a, b = corners[-2], corners[-1]
            rise, run = tpr[b] - tpr[a], fpr[b] - fpr[a]
            if rise * (fpr[i] - fpr[a]) > (tpr[i] - tpr[a]) * run:
                break
            corners.pop()
        corners.append(int(i))
    return fpr[corners], tpr[corners]


def _without_dents(fpr: np.ndarray, tpr: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The points but those below a line of two others, as far as that is quick to see.

    All that lie below the line of their neighbours, by more than rounding, go at once, and again
    among those that are left: of a million points hundreds remain, and they are looked at in turn.
    """
    while len(points) > FEW:
        x, y = fpr[points], tpr[points]
        rise, run = np.diff(y)[:-1], np.diff(x)[:-1]  # to the next point; then to the second next
        dents = rise * (x[2:] - x[:-2]) < (y[2:] - y[:-2]) * run - ROUNDING
        if np.count_nonzero(dents) * LEAST < len(points):
            break
        points = np.delete(points, np.flatnonzero(dents) + 1)
    return points
