import numpy as np
import pytest

from runner.statistics.apart import difference
from runner.statistics.intervals import Interval


def test_of_symmetric_intervals_the_reach_is_the_root_of_the_sum_of_squares():
    found = difference(Interval(0.7, 0.67, 0.73, 8), Interval(0.5, 0.46, 0.54, 6))
    assert found == pytest.approx((0.2, 0.15, 0.25, 6))


def test_a_skewed_end_reaches_into_the_difference_on_its_own_side():
    found = difference(Interval(0.1, 0.09, 0.2, 8), Interval(0.1, 0.1, 0.1, 8))
    assert found == pytest.approx((0.0, -0.01, 0.1, 8))
    assert difference(Interval(0.1, 0.1, 0.1, 8), Interval(0.1, 0.09, 0.2, 8))[1:3] == (
        pytest.approx((-0.1, 0.01))
    )


def test_two_shares_never_differ_by_more_than_all():
    one, other = Interval(0.9, 0.0, 1.0, 2), Interval(0.0, 0.0, 1.0, 2)
    assert difference(one, other).high <= 1.0
    assert difference(other, one).low >= -1.0


def test_of_two_independent_samples_it_holds_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)
    drawn = rng.normal([0.3, 0.1], 0.05, (2000, 2))
    reach = 1.96 * 0.05
    ends = [
        difference(*(Interval(m, m - reach, m + reach, 8) for m in pair.tolist())) for pair in drawn
    ]
    assert np.mean([one.low <= 0.2 <= one.high for one in ends]) == pytest.approx(0.95, abs=0.015)
