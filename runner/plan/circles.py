"""Which models see each other, where an attack judges all of them at once."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

Given = tuple[np.ndarray, np.ndarray, np.ndarray]


class Circle(NamedTuple):
    """Models that are each other's shadows, and no other model's.

    The designs have two kinds: all models are one circle, in which each target leaves its partner
    out; or each pair is one by itself, and a target's partner is the only shadow that it has.
    """

    models: np.ndarray  # (K,) int
    partner: np.ndarray  # (K,) int, by places in the circle: who is no shadow; or the model itself
    of_two: bool  # whether it is a pair by itself

    def given(self, answers: np.ndarray, member: np.ndarray) -> Given:
        """Return what `sums` and `score_all` of an attack are given beside the examples.

        In a pair by itself each model is shadow and target, its row as `as_shadow` has it.

        Args:
            answers: (M, B, K), of all models.
            member: (M, B), or (M, M, B) where each target has shadows of its own.
        """
        if not self.of_two:
            return answers, member, self.partner
        own = member[self.models]
        return answers[self.models], as_shadow(own, own[::-1]), self.partner


def circles_of(partner: np.ndarray, shadows: Sequence[np.ndarray]) -> list[Circle]:
    """Return all circles; each model is in one.

    Args:
        partner: (M,) int, the other model of each one's pair, or the model itself.
        shadows: of each model as target, the models that its attacker has.
    """
    if not only_partners(partner, shadows):
        return [Circle(np.arange(len(partner)), partner, of_two=False)]
    firsts = [m for m, other in enumerate(partner) if m < other]
    return [Circle(np.array([m, partner[m]]), np.arange(2), of_two=True) for m in firsts]


def only_partners(partner: np.ndarray, shadows: Sequence[np.ndarray]) -> bool:
    """Whether each target's only shadow is its partner, as in `quarters`."""
    return all(np.array_equal(its, [other]) for other, its in zip(partner, shadows, strict=True))


def as_shadow(row: np.ndarray, of_target: np.ndarray) -> np.ndarray:
    """Return what an only shadow is to examples: 0 also where its target alone is judged.

    There the shadow is not judged, -1, and was not trained. Who of them are the target's members
    makes no difference.

    Args:
        row: (..., N) int8, of the member matrix.
        of_target: (..., N) int8, likewise.
    """
    return np.where((row < 0) & (of_target >= 0), np.int8(0), row)
