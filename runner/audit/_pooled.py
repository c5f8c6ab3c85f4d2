"""All targets under one threshold, and each target under a threshold that the others set.

Letters: M models, E edges, F false positive rates.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from runner.audit._of_target import Arrays
from runner.statistics import metrics


class Counts(NamedTuple):
    """How many members and non-members of each target score more than each edge."""

    edges: np.ndarray  # (E,) float, rising, from minus infinity
    inside: np.ndarray  # (M, E) int
    outside: np.ndarray  # (M, E) int
    num_out: np.ndarray  # (M,) int, non-members in all


def union(of_targets: Sequence[np.ndarray]) -> np.ndarray:
    """Return every edge of any target once, (E,) float32, rising, from minus infinity."""
    return np.unique(np.concatenate([[np.float32(-np.inf)], *of_targets]))


def counted(
    counts: Counts, of_targets: Sequence[np.ndarray], partner: np.ndarray, rates: Sequence[float]
) -> Arrays:
    """Return the fields of `runner.audit.judged.Judged` that counts above all edges give.

    Arguments as for `shadow_thresholds`.
    """
    return {
        **shadow_thresholds(counts, of_targets, partner, rates),
        "edge": counts.edges,
        "pooled_true": counts.inside.sum(axis=0, dtype=np.int64),
        "pooled_false": counts.outside.sum(axis=0, dtype=np.int64),
    }


def shadow_thresholds(
    counts: Counts, of_targets: Sequence[np.ndarray], partner: np.ndarray, rates: Sequence[float]
) -> Arrays:
    """Return what each target shows at thresholds that other models set.

    For each target the lowest edge of other pairs above which at most the asked share of their
    non-members lie. Its own non-members, which an attacker cannot tell from its members, have no
    say, nor have its partner's, which are its members.

    Args:
        of_targets: the edges that each of M targets gave.
        partner: (M,) int, the other model of each one's pair, or the model itself.
        rates: F.

    Returns:
        `shadow_threshold`: (M, F) float, which a score must exceed; NaN where there is no other
        pair. `shadow_false` and `shadow_true`: (M, F) int, the target's non-members and members
        that do.
    """
    models = np.arange(len(partner))
    found = {
        "shadow_threshold": np.full((len(models), len(rates)), np.nan),
        "shadow_false": np.zeros((len(models), len(rates)), np.int64),
        "shadow_true": np.zeros((len(models), len(rates)), np.int64),
    }
    total = counts.outside.sum(axis=0, dtype=np.int64)
    given = [np.unique(np.searchsorted(counts.edges, edges)) for edges in of_targets]
    givers = np.bincount(np.concatenate(given), minlength=len(counts.edges))
    givers[0] += len(models)  # minus infinity is an edge of all
    for m in models:
        pair = np.unique([m, partner[m]])
        others = np.delete(models, pair)
        if not len(others):
            continue
        theirs = givers.copy()
        for k in pair:
            theirs[given[k]] -= 1
        false = total - counts.outside[pair].sum(axis=0, dtype=np.int64)
        share = false / counts.num_out[others].sum()
        for f, rate in enumerate(rates):
            edge = np.argmax((share <= rate) & (theirs > 0))
            found["shadow_threshold"][m, f] = counts.edges[edge]
            found["shadow_false"][m, f] = counts.outside[m, edge]
            found["shadow_true"][m, f] = counts.inside[m, edge]
    return found


class Pooled(NamedTuple):
    """The ROC curve of all targets' scores in one heap, at the edges."""

    fpr: np.ndarray  # (E + 2,) float64, rising from 0 to 1
    tpr: np.ndarray
    num_negatives: int

    def tpr_at_fpr(self, rate: float) -> float:
        """Return the largest TPR of an edge whose FPR is at most `rate`."""
        return metrics.tpr_at_fpr(self.fpr, self.tpr, rate, "step_le")

    @property
    def auc(self) -> float | None:
        """The area; None where what lies between edges may move it by 0.001, as ties may.

        A step from edge to edge begins with the non-member at the edge; the members that it takes
        in are put halfway among the others.
        """
        run, rise = np.diff(self.fpr), np.diff(self.tpr)
        others = np.maximum(run - 1 / self.num_negatives, 0)
        unknown = (others * rise).sum() / 2
        return None if unknown > 0.001 else float((run * self.tpr[:-1]).sum() + unknown)

    def on_grid(self) -> np.ndarray:
        """Return the TPR at each FPR of `metrics.roc_grid`."""
        return metrics.roc_on_grid(self.fpr, self.tpr, metrics.roc_grid())


def pooled(inside: np.ndarray, outside: np.ndarray, num_in: int, num_out: int) -> Pooled:
    """Return the curve of (E,) counts above rising edges, of so many members and non-members."""
    fpr, tpr = np.append(outside[::-1], num_out) / num_out, np.append(inside[::-1], num_in) / num_in
    return Pooled(np.append(0.0, fpr), np.append(0.0, tpr), num_out)
