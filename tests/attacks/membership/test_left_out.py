import numpy as np
import pytest

from attacks.membership._left_out import (
    fitted,
    mean_of_others,
    moments_left_out,
    pairs_of,
    sum_of_others,
)


def case(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Answers (9, 20, 3), classes of 0 to 9 models, and partners of which one is its own."""
    rng = np.random.default_rng(seed)
    in_class = rng.random((9, 20)) < np.linspace(0, 1, 20)
    partner = np.array([0, *rng.permutation(np.arange(1, 9))])
    return rng.normal(7, 1, (9, 20, 3)), in_class, partner


def left_out(
    values: np.ndarray, in_class: np.ndarray, partner: np.ndarray, m: int, i: int
) -> np.ndarray:
    """The class's answers to example i without target m and its partner."""
    kept = [s for s in range(len(values)) if in_class[s, i] and s not in (m, partner[m])]
    return values[kept, i]


@pytest.mark.parametrize("outlier", [0, 1e8])
def test_moments_are_those_of_the_models_that_are_left(outlier: float):
    values, in_class, partner = case(0)
    values[4] += outlier
    found = moments_left_out(values, in_class, partner)
    for m in range(9):
        if outlier and 4 not in (m, partner[m]):
            continue  # it stays in the class, and is no digit that leaves
        for i in range(20):
            left = left_out(values, in_class, partner, m, i)
            assert found.number[m, i] == len(left)
            if len(left):
                residuals = left - left.mean(axis=0)
                np.testing.assert_allclose(found.mean[m, i], left.mean(axis=0), 1e-7)
                squares = residuals.T @ residuals
                np.testing.assert_allclose(found.squares[m, i], squares, 1e-7, 1e-7)


@pytest.mark.parametrize("outlier", [0, 1e8])
def test_complementary_halves_have_the_bits_of_any_other_pairs(outlier: float):
    """Beside a model that is never in the class, the same pairs are not told to be halves."""
    rng = np.random.default_rng(5)
    half, values = rng.integers(0, 2, (4, 30)), rng.normal(7, 1, (9, 30, 2))
    values[3] += outlier  # which then is fitted anew
    in_class = np.stack([half, 1 - half], axis=1).reshape(8, 30) == 1
    among = np.concatenate([in_class, np.zeros((1, 30), bool)])
    partner = np.arange(8) ^ 1
    halves = moments_left_out(values[:8], in_class, partner)
    others = moments_left_out(values, among, np.append(partner, 8))
    for one, other in zip(halves, others, strict=True):
        np.testing.assert_array_equal(one, other[:8])
    in_class[:2, 4] = False  # as of an example that is not judged
    found = moments_left_out(values[:8], in_class, partner)
    assert found.number[:, 4].tolist() == [3, 3, 2, 2, 2, 2, 2, 2]


def test_an_outlier_that_leaves_takes_its_square_with_it():
    values, in_class, partner = case(1)
    in_class[:] = True
    values[4] += 1e8
    found = moments_left_out(values, in_class, partner)
    for i in range(20):
        left = left_out(values, in_class, partner, 4, i)
        expected = np.cov(left.T, bias=True) * len(left)
        np.testing.assert_allclose(found.squares[4, i], expected, 1e-12)


def test_without_partners_one_target_has_all_models_as_shadows():
    values, in_class, _ = case(2)
    alone = fitted(values, in_class, None)
    extra = np.concatenate([values, values[:1]])
    member = np.concatenate([in_class, np.ones((1, 20), bool)])
    expected = moments_left_out(extra, member, np.arange(10))
    some = alone.number[0] > 0
    for one, other in zip(alone, expected, strict=True):
        np.testing.assert_allclose(one[0][some], other[9][some], 1e-9, 1e-9)


def test_squares_are_never_below_zero():
    values = np.full((6, 4, 1), 1 / 3) + np.arange(6)[:, None, None] * 1e-16
    found = moments_left_out(values, np.ones((6, 4), bool), np.arange(6) ^ 1)
    assert (found.squares >= 0).all()


def test_a_sum_of_others_leaves_out_a_target_and_its_partner():
    rng = np.random.default_rng(11)
    values, partner = rng.normal(size=(7, 5, 2)), np.array([3, 1, 6, 0, 5, 4, 2])
    found = sum_of_others(values, partner)
    for m in range(7):
        others = [s for s in range(7) if s not in (m, partner[m])]
        np.testing.assert_allclose(found[m], values[others].sum(axis=0), rtol=1e-12)


def test_a_sum_of_others_keeps_what_a_subtraction_would_lose():
    values = np.array([1.0, 1e-20, 1e-20, 1e-20])[:, None]
    found = sum_of_others(values, np.arange(4))
    assert found[0, 0] == pytest.approx(3e-20, rel=1e-12)
    assert values.sum() - values[0, 0] == 0


def test_a_mean_of_others_is_of_the_class_alone():
    values, in_class = np.array([[2.0], [4], [9]]), np.array([[True], [True], [False]])
    found = mean_of_others(values, in_class, np.arange(3))
    np.testing.assert_array_equal(found, [[4], [2], [3]])
    assert np.isnan(mean_of_others(values, in_class, np.array([1, 0, 2]))[:2]).all()


def test_a_target_and_its_partner_are_one_set_and_each_is_a_target_once():
    pairs = pairs_of(np.array([3, 1, 4, 0, 2]))
    assert (pairs.first.tolist(), pairs.second.tolist()) == ([0, 1, 2], [3, 1, 4])
    assert pairs.of.tolist() == [0, 1, 2, 0, 2]
    assert [each.tolist() for each in pairs.targets] == [[0, 1, 2], [3, 1, 4]]
    alone = pairs_of(np.arange(4))
    assert [each.tolist() for each in alone.targets] == [[0, 1, 2, 3]]
