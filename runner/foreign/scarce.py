"""Examples that too few other models know, for attacks that compare models which do and do not."""

from collections.abc import Iterable

import numpy as np

from attacks.membership import Needs
from runner.foreign.members import partners
from runner.plan.shadows import num_others

HANDFUL = 0.05  # the share of the judged examples up to which they are left out, for an attack


def without_scarce(member: np.ndarray, needs: Iterable[Needs]) -> tuple[np.ndarray, list[str]]:
    """Return the matrix without the handful of examples that keep an attack from being made.

    An example that lacks shadows beside one target is left out for all, and of all attacks: they
    are compared on the same examples, and whether one is judged must not tell whose member it is.
    Where it is more than a handful the attack is left out, and nothing else.

    Args:
        member: (M, N) int8.
        needs: of the attacks that may be made.

    Returns:
        (M, N) int8, -1 for those left out; and a sentence on them, if there are any.
    """
    judged = (member >= 0).any(axis=0)
    partner, most = partners(member), HANDFUL * judged.sum()
    some = {(each.inside, each.outside) for each in needs if not each.either}
    found, needed = np.zeros(member.shape[1], bool), (0, 0)
    for inside, outside in sorted(some):
        lacking = np.zeros(member.shape[1], bool)
        for of_target in _lacking(member, partner, inside, outside):
            lacking |= of_target
        if found.sum() < lacking.sum() <= most and _both_kinds(member[:, ~lacking]):
            found, needed = lacking, (inside, outside)
    if not found.any():
        return member, []
    inside, outside = needed
    said = (
        f"{found.sum()} of {judged.sum()} examples have fewer than {inside} other models that "
        f"were trained on them, or than {outside} that were not, beside some target: they are left "
        "out of all that is judged, so that LiRA and its like are made of the others"
    )
    return np.where(found, np.int8(-1), member), [said]


def told_scarce(member: np.ndarray, partner: np.ndarray, needs: Needs) -> str:
    """Return how many examples of the first such target lack the shadows of an attack."""
    every = _lacking(member, partner, needs.inside, needs.outside)
    for target, lacking in enumerate(every):
        if lacking.any():
            return f"target {target}: {lacking.sum()} examples lack shadows"
    return ""


def _lacking(
    member: np.ndarray, partner: np.ndarray, inside: int, outside: int
) -> Iterable[np.ndarray]:
    """Which examples that each target is judged on have too few of a kind, (N,) bool."""
    of_kind = (num_others(member, partner, kind) for kind in (1, 0))
    for row, num_in, num_out in zip(member, *of_kind, strict=True):
        yield (row >= 0) & ((num_in < inside) | (num_out < outside))


def _both_kinds(member: np.ndarray) -> bool:
    """Whether every model still has members and others."""
    return bool(((member == 1).any(axis=1) & (member == 0).any(axis=1)).all())
