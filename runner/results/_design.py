"""Whether a design gives membership away by itself."""

from collections.abc import Iterator

import numpy as np

from runner.plan.shadows import EvenShadows, num_others
from runner.storage.ids import generator_of


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
    aucs = []
    for row, (inside, _) in zip(member, _kept(member, partner, even), strict=True):
        counts = [np.bincount(inside[row == c], minlength=len(member) + 1) for c in (0, 1)]
        aucs.append(_auc(*counts))
    return np.array(aucs)


def best_aucs(
    member: np.ndarray, partner: np.ndarray, even: EvenShadows | None = None
) -> np.ndarray:
    """Return the AUC of the best guess of each target's members by its numbers of shadows.

    Unlike `count_aucs` it goes whichever way the numbers point, as where some examples are in a
    quarter of the models and others in three quarters. What a pair of numbers says, those that hold
    an example and those that do not, is learnt on one half of the examples and judged on the other,
    so that numbers that say nothing have an AUC around 0.5.

    Args:
        member: (M, N) int8: 1 in, 0 out, -1 not judged.
        partner: (M,) int, the model complementary to each, or the model itself.
        even: how many shadows each target keeps; None: all.

    Returns:
        (M,) float64; 0.5 where a target has members or non-members alone.
    """
    num_models, num_examples = member.shape
    first = generator_of(0, "halves").random(num_examples) < 0.5
    aucs = []
    for row, (inside, outside) in zip(member, _kept(member, partner, even), strict=True):
        numbers = inside.astype(np.int64) * num_models + outside
        halves = [
            [np.bincount(numbers[half & (row == c)], minlength=num_models**2) for c in (0, 1)]
            for half in (first, ~first)
        ]
        aucs.append(np.mean([_auc(*_in_order(*halves)), _auc(*_in_order(*halves[::-1]))]))
    return np.array(aucs)


def chance_errors(member: np.ndarray) -> np.ndarray:
    """Return the standard error of each target's AUC where the counts say nothing, (M,)."""
    inside, outside = (np.maximum((member == kind).sum(1), 1) for kind in (1, 0))
    return np.sqrt((inside + outside + 1) / (12 * inside * outside))  # Mann and Whitney's


def _kept(
    member: np.ndarray, partner: np.ndarray, even: EvenShadows | None
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """How many shadows each target keeps that hold an example, and that do not, (N,) both."""
    both = (num_others(member, partner, kind) for kind in (1, 0))
    for m, (inside, outside) in enumerate(zip(*both, strict=True)):
        if even is None:
            yield inside, outside
        else:
            there = inside + outside
            most_in, most_out = even.inside[m][there], even.outside[m][there]
            yield np.minimum(inside, most_in), np.minimum(outside, most_out)


def _in_order(learnt: list[np.ndarray], judged: list[np.ndarray]) -> list[np.ndarray]:
    """The histograms to judge, over what the others say, the surest of members first."""
    outside, inside = ((each + 0.5) / (each.sum() + 1) for each in learnt)
    _, place = np.unique(outside / inside, return_inverse=True)
    return [np.bincount(place, weights=each) for each in judged]


def _auc(outside: np.ndarray, inside: np.ndarray) -> float:
    """The AUC of two histograms over the same counts, fewer being inside; ties count half."""
    if not outside.sum() or not inside.sum():
        return 0.5
    below = np.cumsum(inside) - inside
    return float((outside * (below + inside / 2)).sum() / inside.sum() / outside.sum())
