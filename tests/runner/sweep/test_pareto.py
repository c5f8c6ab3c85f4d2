"""Who beats whom, on figures whose answer is plain, and against a loop over pairs."""

from typing import Any

import numpy as np
import pytest

from runner.sweep.pareto import beaten, on_front, points
from tests.made.sweeps import figures


def test_more_accuracy_and_less_leakage_are_better():
    at = points([figures(0.9, 0.5, 0.1, 0.05), figures(0.8, 0.4, 0.2, 0.05)])
    assert np.allclose(at.mean, [[0.9, 0.5, -0.1], [0.8, 0.4, -0.2]])
    assert np.allclose(at.high - at.low, 0.1)
    assert on_front(at).tolist() == [True, False]


def test_without_an_evasion_attack_two_objectives_are_compared():
    at = points([figures(0.9, None, 0.1), figures(0.8, None, 0.2)])
    assert at.mean.shape == (2, 2)
    assert on_front(at).tolist() == [True, False]


def test_equal_settings_stand_on_the_front_together():
    assert on_front(points([figures(0.9, 0.5, 0.1)] * 3)).all()


def test_a_trade_off_stands_on_the_front():
    at = points([figures(0.9, 0.5, 0.3), figures(0.8, 0.5, 0.1), figures(0.8, 0.4, 0.2)])
    assert on_front(at).tolist() == [True, True, False]


@pytest.mark.parametrize(
    ("better", "stops"),
    [
        (figures(0.9, 0.5, 0.1, 0.04), True),  # the same accuracies, leaks less beyond intervals
        (figures(0.9, 0.5, 0.1, 0.06), False),  # the intervals of the leakage overlap
        (figures(0.89, 0.5, 0.1, 0.04), False),  # less accurate by mean
        (figures(0.95, 0.55, 0.1, 0.04), True),
        (figures(0.9, 0.5, 0.2, 0.0), False),  # the same
    ],
)
def test_a_setting_is_beaten_by_one_no_worse_in_means_and_better_in_one_whole_interval(
    better: Any, stops: bool
):
    weak = figures(0.9, 0.5, 0.2, better["natural"]["high"] - better["natural"]["mean"])
    by_whom = beaten(points([weak, better]))
    assert by_whom.tolist() == [[False, stops], [False, False]]


def test_both_relations_agree_with_loops_over_pairs():
    random = np.random.default_rng(0)
    made = [figures(*random.integers(0, 4, 3) / 4, half=random.choice([0, 0.2])) for _ in range(40)]
    at = points(made)
    front, by_whom = on_front(at), beaten(at)
    for i in range(len(made)):
        dominated = False
        for j in range(len(made)):
            no_worse = all(at.mean[j, k] >= at.mean[i, k] for k in range(3))
            dominated |= no_worse and any(at.mean[j, k] > at.mean[i, k] for k in range(3))
            clearly = any(at.low[j, k] > at.high[i, k] for k in range(3))
            assert by_whom[i, j] == (no_worse and clearly)
        assert front[i] == (not dominated)
    assert not by_whom[front].any()
    assert by_whom.any()
