"""Sets of examples at risk, against counts one by one and against chance."""

from itertools import combinations

import numpy as np
import pytest
from scipy.stats import spearmanr

from runner.audit._stability import (
    expected_by_chance,
    jaccard_by_chance,
    nearly_always,
    needed,
    rank_correlation,
    stability,
)


def test_it_takes_nine_of_ten_and_eight_of_eight_at_nine_tenths():
    number = np.array([1, 8, 10, 20, 21])
    assert needed(number, 0.9).tolist() == [1, 8, 9, 18, 19]
    assert needed(np.arange(1, 300), 1.0).tolist() == list(range(1, 300))
    assert needed(np.array([10]), 0.7).tolist() == [7]  # 10 * 0.7 is a little above 7


def test_an_example_that_no_model_is_trained_on_is_never_vulnerable():
    found = nearly_always(np.array([0, 3, 4]), np.array([0, 4, 4]), 0.9)
    assert found.tolist() == [False, False, True]


@pytest.mark.parametrize(("first", "second", "num_all"), [(2, 3, 6), (4, 4, 5), (0, 3, 5)])
def test_the_jaccard_index_by_chance_is_its_mean_over_all_pairs_of_sets(first, second, num_all):
    one = set(range(first))
    others = [set(other) for other in combinations(range(num_all), second)]
    mean = sum(len(one & other) / len(one | other) for other in others) / len(others)
    assert jaccard_by_chance(first, second, num_all) == pytest.approx(mean)


def test_two_empty_sets_have_no_jaccard_index():
    assert jaccard_by_chance(0, 0, 7) is None
    found = stability(np.full((2, 7), 4), np.zeros((2, 7), int), 0.9)
    assert found == {
        "jaccard": None,
        "by_chance": None,
        "rank_correlation": None,
        "num_first": 0,
        "num_second": 0,
    }


def test_examples_that_both_halves_find_are_stable_and_chance_is_far_below():
    flagged = np.zeros((2, 1000), int)
    flagged[:, :20] = 8
    flagged[0, 20:30] = 8
    found = stability(np.full((2, 1000), 8), flagged, 0.9)
    assert found is not None
    assert found["jaccard"] == pytest.approx(20 / 30)
    assert (found["num_first"], found["num_second"]) == (30, 20)
    assert found["by_chance"] < 0.03


def test_examples_without_two_models_in_each_half_do_not_count():
    number = np.array([[2, 1, 4], [2, 9, 2]])
    found = stability(number, number, 0.9)
    assert found is not None
    assert found["num_first"] == 2
    assert stability(np.ones((2, 5), int), np.ones((2, 5), int), 0.9) is None


def test_the_rank_correlation_is_spearmans_and_leaves_out_what_is_not_known():
    random = np.random.default_rng(0)
    first, second = random.integers(0, 5, (2, 50)).astype(float)
    expected, _ = spearmanr(first, second)
    assert rank_correlation(first, second) == pytest.approx(expected)
    with_gaps = np.append(first, np.nan), np.append(second, 3.0)
    assert rank_correlation(*with_gaps) == pytest.approx(expected)
    assert rank_correlation(first, np.ones(50)) is None
    assert rank_correlation(first, np.full(50, np.nan)) is None


def test_what_chance_finds_is_the_sum_of_binomial_tails():
    number = np.array([4, 4, 10])
    nine_or_ten = 10 * 0.3**9 * 0.7 + 0.3**10
    expected = 2 * 0.3**4 + nine_or_ten
    assert expected_by_chance(number, 0.9, 0.3) == pytest.approx(expected)
    assert expected_by_chance(np.empty(0, int), 0.9, 0.3) == 0
