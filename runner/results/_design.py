"""Whether a design gives membership away by itself."""

import numpy as np

from runner.plan.shadows import EvenShadows, num_others


def count_aucs(
    member: np.ndarray, partner: np.ndarray, even: EvenShadows | None = None
) -> np.ndarray:
    """Return the AUC of guessing each target's members by how few of its shadows hold an example.

    Where every example is in exactly half of the models, a target that holds it leaves one fewer
    to the others, and the AUC is 1. Shadows of target m are all models but m and its partner.

    Args:
        member: (M, N) int8: 1 in, 0 out, -1 not judged.
        partner: (M,) int, the model complementary to each, or the model itself.
        even: how many shadows each target keeps; None: all.

    Returns:
        (M,) float64; 0.5 where a target has members or non-members alone. Below 0.5 where its
        members are those that more of the shadows hold: turned round, chance would not be 0.5.
    """
    aucs, both = [], (num_others(member, partner, kind) for kind in (1, 0))
    for m, (row, others, without) in enumerate(zip(member, *both, strict=True)):
        if even is not None:
            others = np.minimum(others, even.inside[m][others + without])
        counts = [np.bincount(others[row == c], minlength=len(member) + 1) for c in (0, 1)]
        aucs.append(_auc(*counts))
    return np.array(aucs)


def chance_errors(member: np.ndarray) -> np.ndarray:
    """Return the standard error of each target's AUC where the counts say nothing, (M,)."""
    inside, outside = (np.maximum((member == kind).sum(1), 1) for kind in (1, 0))
    return np.sqrt((inside + outside + 1) / (12 * inside * outside))  # Mann and Whitney's


def _auc(outside: np.ndarray, inside: np.ndarray) -> float:
    """The AUC of two histograms over the same counts, fewer being inside; ties count half."""
    if not outside.sum() or not inside.sum():
        return 0.5
    below = np.cumsum(inside) - inside
    return float((outside * (below + inside / 2)).sum() / inside.sum() / outside.sum())
