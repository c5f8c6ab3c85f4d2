"""The tail of Student's t against closed forms of many digits, also where it underflows."""

from typing import Any

import mpmath
import numpy as np
import pytest
from scipy.stats import t

from attacks.membership._survival import ENOUGH, NEAR, log_survival
from tests.attacks.membership import lira_oracle


@pytest.mark.parametrize("freedom", [0.5, 3, 30, 1000, 1e6])
def test_log_survival_goes_on_where_the_probability_underflows(freedom: float):
    z = np.concatenate([np.linspace(-50, 50, 21), np.geomspace(60, 1e12, 6)])
    found = log_survival(z, np.full_like(z, freedom))
    assert (np.diff(found) < 0).all() or freedom >= 30  # far below, the probability is 1
    assert (np.diff(found[z > 0]) < 0).all()
    probable = t.sf(z, freedom) > 1e-250
    np.testing.assert_allclose(found[probable], t.logsf(z[probable], freedom), 1e-8, 1e-13)
    for each in np.flatnonzero(~probable):
        expected = lira_oracle.log_survival(z[each], freedom)
        assert found[each] == pytest.approx(expected, rel=1e-8)


def exact(z: float, freedom: float) -> Any:
    """log P(t > z) in forty digits."""
    with mpmath.workdps(40):
        a, square = mpmath.mpf(freedom) / 2, mpmath.mpf(z) ** 2
        x = freedom / (freedom + square)
        tail = mpmath.betainc(a, 0.5, 0, x, regularized=True) / 2
        return mpmath.log(tail if z >= 0 else 1 - tail)


@pytest.mark.parametrize("freedom", [ENOUGH, ENOUGH + 0.37, 41.5, 120, 777.7])
def test_the_series_has_the_digits_of_float64_up_to_its_bounds(freedom: float):
    furthest = np.sqrt(NEAR * freedom)
    z = np.concatenate([np.linspace(0, 1, 23) * furthest, [1e-9, 0.01], [-1e-9, -0.3, -2, -9]])
    expected = [exact(each, freedom) for each in z]
    found = log_survival(z, np.full_like(z, freedom))
    error = [abs(float((f - e) / e)) for f, e in zip(found, expected, strict=True)]
    assert max(error) < 3e-14
    of_row = log_survival(np.stack([z, -z]), np.full((2, 1), freedom))[0]
    error = [abs(float((f - e) / e)) for f, e in zip(of_row, expected, strict=True)]
    assert max(error) < 3e-14


def test_a_row_of_values_is_judged_one_by_one_and_nan_stays_nan():
    rng = np.random.default_rng(0)
    z, freedom = rng.normal(0, 9, (3, 9000)), rng.choice([0.5, 7, 19.9, 20, 60, 1e6], (3, 9000))
    z[1, 5] = np.nan
    found = log_survival(z, freedom)
    assert np.argwhere(np.isnan(found)).tolist() == [[1, 5]]
    for place in ((0, 0), (1, 8999), (2, 4096)):
        assert found[place] == log_survival(z[place][None], freedom[place][None])
    probable = t.sf(z, freedom) > 1e-250
    np.testing.assert_allclose(found[probable], t.logsf(z[probable], freedom[probable]), 1e-8)
