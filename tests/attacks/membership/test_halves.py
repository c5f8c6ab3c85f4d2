import numpy as np

from attacks.membership import Examples, MembershipAttack, Needs, by_halves
from tests import oracles


class Told(MembershipAttack):
    """Says of every example how many non-members it was told of, and of itself nothing."""

    name: str = "told"

    def needs(self, num_views: int = 1) -> Needs:
        return Needs(0, 0, itself=True)

    def score(
        self,
        target: np.ndarray,
        shadows: np.ndarray,
        shadow_member: np.ndarray,
        examples: Examples,
        seed: int = 0,
    ) -> np.ndarray:
        np.testing.assert_array_equal(shadows[0], target)
        assert set(np.unique(shadow_member)) <= {-1, 0}
        told = (shadow_member[0] == 0).astype(float)
        return np.full(len(target), told.sum()) + 1000 * told


def test_an_example_is_judged_by_the_non_members_of_the_other_half_alone():
    rng = np.random.default_rng(0)
    row, target = rng.integers(-1, 2, 101).astype(np.int8), rng.normal(size=(101, 2))
    found = by_halves(Told(), target, row, oracles.unlabelled(101), 7)
    assert found.max() < 1000  # nobody was told of whom he judges
    first, second = np.unique(found)
    assert first + second == (row == 0).sum()
    assert abs((found == first).sum() - 50.5) == 0.5


def test_what_an_example_is_changes_no_score_of_its_half():
    row, target = np.zeros(60, np.int8), np.zeros((60, 1))
    before = by_halves(Told(), target, row, oracles.unlabelled(60), 3)
    row[4] = 1
    after = by_halves(Told(), target, row, oracles.unlabelled(60), 3)
    changed = before != after
    assert not changed[4]
    assert changed.sum() == 30


def test_each_seed_has_halves_of_its_own():
    row, target = np.zeros(60, np.int8), np.zeros((60, 1))
    row[:11] = 1
    one, again, other = (
        by_halves(Told(), target, row, oracles.unlabelled(60), seed) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()
