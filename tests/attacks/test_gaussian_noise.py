"""Delta, epsilon and mu of Gaussian noise, against 60 digits."""

import math

import mpmath
import pytest

from attacks.gaussian_noise import epsilon_of, log_delta, mu_of

PAIRS = [(1, 3), (1, 1e-3), (0.01, 0.05), (5, 70), (50, 1300), (1e-3, 3e-3)]


def exact(mu: float, epsilon: float) -> float:
    """Delta by its definition."""
    with mpmath.workdps(60):
        m, e = mpmath.mpf(mu), mpmath.mpf(epsilon)
        found = mpmath.ncdf(m / 2 - e / m) - mpmath.exp(e) * mpmath.ncdf(-m / 2 - e / m)
    return float(found)


@pytest.mark.parametrize(("mu", "epsilon"), PAIRS)
def test_the_curve_keeps_its_digits_where_its_terms_cancel(mu: float, epsilon: float):
    assert math.exp(log_delta(mu, epsilon)) == pytest.approx(exact(mu, epsilon), rel=1e-11)


@pytest.mark.parametrize(("mu", "epsilon"), [*PAIRS, (1e-9, 0), (1e-9, 1e-9), (300, 46_000)])
def test_what_is_rounded_up_is_enough_and_what_is_rounded_down_is_not(mu: float, epsilon: float):
    down, up = (log_delta(mu, epsilon, rounded) for rounded in (-1, 1))
    delta = exact(mu, epsilon)
    assert down < math.log(delta) < up
    low, high = (epsilon_of(mu, delta, rounded) for rounded in (-1, 1))
    assert low <= epsilon < high
    assert high == pytest.approx(low, rel=1e-6, abs=1e-12)


def test_mu_and_epsilon_are_each_others_inverse():
    for mu, delta in ((0.3, 1e-5), (1.7, 1e-12), (40.0, 1e-5)):
        epsilon = epsilon_of(mu, delta)
        assert math.exp(log_delta(mu, epsilon)) == pytest.approx(delta, rel=1e-6)
        assert mu_of(epsilon, delta) == pytest.approx(mu, rel=1e-9)
    assert epsilon_of(0, 1e-5) == epsilon_of(1e-6, 1e-5) == 0
    assert epsilon_of(1, 0) == epsilon_of(1e200, 1e-5) == math.inf
    assert epsilon_of(1.6660305978, 1e-5) == pytest.approx(8)


def test_impossible_arguments_are_refused():
    for mu, delta in ((-1, 1e-5), (math.nan, 1e-5), (1, 1), (1, -1e-9)):
        with pytest.raises(ValueError, match="expected mu of 0 or more"):
            epsilon_of(mu, delta)
