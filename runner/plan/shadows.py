"""Shadows whose numbers say nothing of the target, where each example is in so many models."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from runner.statistics import metrics
from runner.storage.ids import generator_of

DRAWN = 512  # examples whose orders are drawn at once; another number moves all draws
BY_CHANCE = 1e-6  # how likely coins may be to fall as evenly as members do
LEAST = 0.02  # by which an AUC of counts must exceed 1/2 to be mended: what its check tolerates


class EvenShadows(NamedTuple):
    """How many shadows of each kind each target keeps, whatever its own row is.

    Where every example is in exactly k of M models, a target that holds it leaves k - 1 to the
    others, and one that does not k; so the counts tell a member, and whatever hangs on them, as an
    estimate of a variance does, is shifted. Here every target keeps k - 1 shadows that hold the
    example and M - k - 1 that do not: one of the fuller kind is left out. Where columns have
    several counts, as when a model of the farm is lost, it keeps as many of each kind as the
    example with the fewest has. Which ones are left out is drawn, by the seed and the example's
    place, so that under either membership those that stay are alike in law: an attack on models
    that keep nothing has an AUC of 1/2.

    Fields are by target and by how many shadows are judged on the example; M: all of them.
    """

    inside: np.ndarray  # (M, M) int
    outside: np.ndarray  # (M, M) int
    partner: np.ndarray  # (M,) int, the model complementary to each, or the model itself
    seed: int

    def seen(self, member: np.ndarray, first: int) -> np.ndarray:
        """Return what each target's shadows are to B examples, (M, M, B) int8.

        A model that is no shadow of a target, or is left out, is -1: the target itself, its
        partner, and what is too many of a kind.

        Args:
            member: (M, B) int8.
            first: the place of the first of them in the pool.
        """
        ranks = self._ranks(member, first)
        return np.stack([self._seen_by(m, member, ranks) for m in range(len(member))])

    def seen_by(self, target: int, member: np.ndarray) -> np.ndarray:
        """Return what one target's shadows are to all examples, (M, N) int8, of member (M, N)."""
        return self._seen_by(target, member, self._ranks(member, 0))

    def _seen_by(
        self, target: int, member: np.ndarray, ranks: Mapping[int, np.ndarray]
    ) -> np.ndarray:
        """What is too many of a kind is what ranks too high in it without the target's pair."""
        pair = np.unique([target, self.partner[target]])
        there = (member >= 0).sum(axis=0) - (member[pair] >= 0).sum(axis=0)
        found = member.copy()
        found[pair] = -1
        for kind, sizes in ((1, self.inside), (0, self.outside)):
            among = ranks[kind].copy()
            for own in ranks[kind][pair]:
                among -= ranks[kind] > np.where(own > 0, own, len(member))
            np.copyto(found, np.int8(-1), where=among > sizes[target][there].astype(among.dtype))
        return found

    def _ranks(self, member: np.ndarray, first: int) -> dict[int, np.ndarray]:
        """Which of its kind each model is in each example's order, from 1; else 0; by kind, (M, B).

        All targets share them, so that nothing is sorted or counted for each.
        """
        order = self._order(first, member.shape[1])
        in_order, found = np.take_along_axis(member, order, axis=0), {}
        for kind in (1, 0):
            of_kind = in_order == kind
            rank = np.cumsum(of_kind, axis=0, dtype=np.int32) * of_kind
            found[kind] = np.empty_like(rank)
            np.put_along_axis(found[kind], order, rank, axis=0)
        return found

    def _order(self, first: int, num_examples: int) -> np.ndarray:
        """An order of the models for each example, (M, B) int; all targets share it."""
        drawn = [
            generator_of(self.seed, "shadows", part).random((len(self.partner), DRAWN))
            for part in range(first // DRAWN, -(-(first + num_examples) // DRAWN))
        ]
        start = first % DRAWN
        return np.hstack(drawn)[:, start : start + num_examples].argsort(axis=0, kind="stable")

    def told(self, member: np.ndarray) -> str:
        """Return what is left out of the shadows under members (M, N), in a sentence."""
        some, (num_models, _) = self.evened, member.shape
        sizes, judged = self.inside[some[0]], (member >= 0).sum(axis=0)
        there = int(np.flatnonzero(sizes < num_models).max())
        counts = np.unique((member == 1).sum(axis=0)[judged == judged.max()])
        of = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
        whose = "a target" if len(some) == num_models else f"each of {len(some)} targets"
        return (
            f"an example is in {of} of {judged.max()} models, so the number of shadows that hold "
            f"it would tell whether the target does: {whose} keeps {sizes[there]} that hold it "
            f"and {self.outside[some[0]][there]} that do not, whatever it is itself (fewer where "
            f"fewer models are judged); the others are left out, drawn by seed {self.seed}"
        )

    @property
    def of_both_kinds(self) -> bool:
        """Whether every target keeps shadows that hold an example, and such as do not."""
        return bool(self.inside.min() and self.outside.min())

    @property
    def evened(self) -> np.ndarray:
        """The targets whose shadows are evened, (m,) int."""
        return np.flatnonzero((self.inside < len(self.partner)).any(axis=1))


def even_shadows(member: np.ndarray, partner: np.ndarray, seed: int) -> EvenShadows | None:
    """Return how the shadows of a design are evened, or None where their numbers tell nothing.

    They tell something where examples are in more equal numbers of models than coins would put
    them, those rows left aside that have a partner, whose counts are always equal. Of such a
    design those targets are evened whose members are told by how few others hold an example.

    Args:
        member: (M, N) int8: 1 in, 0 out, -1 not judged.
        partner: (M,) int, the model complementary to each, or the model itself.
        seed: of which shadows are left out.
    """
    models = np.arange(len(member))
    alone = partner == models
    if not _evener_than_coins(member[alone]):
        return None
    inside, outside = np.full((2, len(models), len(models)), len(models))
    others = zip(*(num_others(member, partner, kind) for kind in (1, 0)), strict=True)
    for m, (num_in, num_out) in enumerate(others):
        if not alone[m] or _told_by(num_in, num_in + num_out, member[m]) < 0.5 + LEAST:
            continue
        judged = member[m] >= 0
        there = (num_in + num_out)[judged]
        np.minimum.at(inside[m], there, num_in[judged])
        np.minimum.at(outside[m], there, num_out[judged])
    found = EvenShadows(inside, outside, partner, seed)
    return found if len(found.evened) else None


def num_others(member: np.ndarray, partner: np.ndarray, kind: int) -> Iterator[np.ndarray]:
    """Yield of each model as target how many others but its partner are of a kind, (N,) int32.

    Args:
        member: (M, N) int8: 1 in, 0 out, -1 not judged.
        partner: (M,) int, the model complementary to each, or the model itself.
        kind: 1 or 0.
    """
    total = np.zeros(member.shape[1], np.int32)
    for row in member:
        total += row == kind
    for m, row in enumerate(member):
        others = total - (row == kind)
        if partner[m] != m:
            others -= member[partner[m]] == kind
        yield others


def _evener_than_coins(member: np.ndarray) -> bool:
    """Whether columns' sums of (A, N) scatter less than where each row is drawn by itself."""
    from scipy.special import chdtr  # not for plans, which are never asked this

    judged = member >= 0
    if not judged.any():
        return False
    rate = (member == 1).sum(axis=1) / np.maximum(judged.sum(axis=1), 1)
    expected = np.sum(judged * rate[:, None], axis=0)
    variance = np.sum(judged * (rate * (1 - rate))[:, None], axis=0)
    known = variance > 0
    excess = (member[:, known] == 1).sum(axis=0) - expected[known]
    return bool(chdtr(known.sum(), np.sum(excess**2 / variance[known])) < BY_CHANCE)


def _told_by(num_in: np.ndarray, there: np.ndarray, row: np.ndarray) -> float:
    """The AUC of how few of equally many shadows hold an example; 1/2 where it says nothing."""
    right, pairs = 0.0, 0
    for number in np.unique(there[row >= 0]):
        some = (there == number) & (row >= 0)
        members = row[some] == 1
        weight = int(members.sum()) * int((~members).sum())
        if weight:
            right += weight * metrics.auc(-num_in[some].astype(np.float64), members)
            pairs += weight
    return right / pairs if pairs else 0.5
