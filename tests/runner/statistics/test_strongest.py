"""The strongest of several attacks, chosen on other models and examples than it is judged on."""

import numpy as np
import pytest

from runner.statistics.averages import Averaging
from runner.statistics.strongest import strongest

PAIRS = Averaging(np.arange(6), np.arange(6) ^ 1)


def made(seed: int, num_attacks: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Figures (A, M) of attacks that find about as much, and resampled (A, M, R)."""
    rng = np.random.default_rng(seed)
    point = 0.6 + 0.02 * rng.normal(size=(num_attacks, 6))
    return point, point[:, :, None] + 0.01 + 0.03 * rng.normal(size=(num_attacks, 6, 20))


def slowly(point: np.ndarray, resampled: np.ndarray) -> tuple[list[float], list[list[int]]]:
    """Each model's figure, and which attack judged it in each resample, one after the other."""
    found, chosen = [], []
    for m in range(6):
        judged, by = [], []
        for r in range(resampled.shape[2]):
            elsewhere = []
            for a in range(len(point)):
                others = [k for k in range(6) if k // 2 != m // 2]
                moved = [resampled[a, k, r] - resampled[a, k].mean() for k in others]
                elsewhere.append(np.mean(point[a, others]) - np.mean(moved))
            best = int(np.argmax(elsewhere))
            by.append(best)
            mean = resampled[best, m].mean()
            judged.append(point[best, m] + resampled[best, m, r] - mean)
        found.append(float(np.mean(judged)))
        chosen.append(by)
    return found, chosen


def test_each_pair_is_judged_by_what_is_best_on_the_other_examples_of_the_other_pairs():
    point, resampled = made(0)
    expected, chosen = slowly(point, resampled)
    found = strongest(point, resampled, PAIRS)
    assert len({a for by in chosen for a in by}) > 1  # else this would tell nothing
    np.testing.assert_allclose(found.point, expected)
    shares = [np.mean([[a == b for b in by] for by in chosen]) for a in range(3)]
    np.testing.assert_allclose(found.shares, shares)


def test_each_resample_chooses_anew_as_if_it_were_all_examples():
    point, resampled = made(0)
    apart = resampled - resampled.mean(axis=2, keepdims=True)
    found = strongest(point, resampled, PAIRS)
    for r in (0, 7):
        again, chosen = slowly(point + apart[:, :, r], point[:, :, None] + apart[:, :, [r]] + apart)
        for m, by in enumerate(chosen):  # less what the chosen attacks have in all examples
            by_all = np.mean([point[a, m] for a in by])
            assert found.resampled[m, r] - found.point[m] == pytest.approx(again[m] - by_all)


def test_where_one_attack_is_always_best_the_figures_are_its_own():
    point, resampled = made(1)
    point, resampled = (
        one + 0.3 * (np.arange(3) == 1).reshape(-1, *[1] * (one.ndim - 1))
        for one in (point, resampled)
    )
    found = strongest(point, resampled, PAIRS)
    np.testing.assert_allclose(found.point, point[1])
    moved = found.resampled - found.resampled.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(moved, resampled[1] - resampled[1].mean(axis=1, keepdims=True))
    assert found.shares.tolist() == [0, 1, 0]


def test_what_a_pair_finds_itself_has_no_say_in_what_judges_it():
    point, resampled = made(2)
    point[0, 2:], resampled[0, 2:] = point[0, 2:] + 0.2, resampled[0, 2:] + 0.2
    raised = point.copy(), resampled.copy()
    for one in raised:
        one[1, :2] += 0.15  # less than what the others add up to
    before, after = strongest(point, resampled, PAIRS), strongest(*raised, PAIRS)
    np.testing.assert_allclose(after.point[:2], before.point[:2])


def test_attacks_that_agree_are_the_first_of_them():
    point, resampled = made(3, 1)
    found = strongest(point.repeat(3, 0), resampled.repeat(3, 0), PAIRS)
    assert found.shares.tolist() == [1, 0, 0]


def test_only_models_that_are_averaged_over_choose_and_are_judged():
    point, resampled = made(4)
    some = PAIRS._replace(models=np.array([0, 1, 2, 4]))  # whose last two are pairs by themselves
    found = strongest(point, resampled, some)
    assert np.isnan(found.point).tolist() == [False, False, False, True, False, True]
    strange = point.copy()
    strange[0, [3, 5]] = 9
    np.testing.assert_array_equal(strongest(strange, resampled, some).point, found.point)


def test_of_a_single_pair_other_examples_of_it_choose():
    rng = np.random.default_rng(5)
    point = np.full((2, 2), 0.6)
    halves = 0.1 * np.sign(rng.normal(size=(1, 1, 40)))
    resampled = point[:, :, None] + halves * np.array([1, -1])[:, None, None]
    found = strongest(point, resampled, Averaging(np.arange(2), np.array([1, 0])))
    assert found.point == pytest.approx(0.5, abs=0.02)  # best there is worst here


def test_the_best_of_attacks_that_find_the_same_is_not_raised_by_having_been_chosen():
    rng, num_repeats, found, best = np.random.default_rng(6), 200, [], []
    over = Averaging(np.arange(8), np.full(8, -1))
    for _ in range(num_repeats):
        of_examples, halves = rng.normal(size=(5, 1)), rng.normal(size=(5, 1, 16))
        own, cells = rng.normal(size=(5, 8)), rng.normal(size=(5, 8, 16))
        point = 0.5 + 0.005 * (of_examples + 2 * own)
        resampled = point[:, :, None] + 0.005 * (halves + 2 * cells)
        found.append(strongest(point, resampled, over).point.mean())
        best.append(point.mean(axis=1).max())
    error = np.std(found) / num_repeats**0.5
    assert abs(np.mean(found) - 0.5) < 3 * error
    assert np.mean(best) - 0.5 > 10 * error
