"""Epsilons against closed forms, and against Google's dp_accounting."""

import math

import pytest
from scipy.optimize import brentq
from scipy.stats import norm

from defenses._accounting import Accountant, calibrated, spent

DELTA = 1e-5

# (noise multiplier, rate, steps), then epsilon at 1e-5 by dp_accounting 0.6.0: PLDAccountant with
# value_discretization_interval 1e-3, and RdpAccountant, of a SelfComposedDpEvent of
# PoissonSampledDpEvent(rate, GaussianDpEvent(noise)), rounded to five digits.
KNOWN = [
    ((1.1, 0.0128, 7800), 6.0097, 6.5124),
    ((1.0, 0.01, 1000), 1.8289, 2.1014),
    ((2.0, 0.02, 500), 0.92157, 1.0153),
    ((0.7, 0.1, 100), 14.592, 16.439),
    ((5.0, 1.0, 20), 3.8486, 4.1616),
]


def exact_without_sampling(noise: float, num_steps: int) -> float:
    """Epsilon of so many Gaussian mechanisms: Balle and Wang (2018), theorem 8."""
    mu = math.sqrt(num_steps) / noise

    def excess(epsilon: float) -> float:
        above, below = norm.cdf(mu / 2 - epsilon / mu), norm.logcdf(-mu / 2 - epsilon / mu)
        return float(above - math.exp(epsilon + below) - DELTA)

    return brentq(excess, 0, 100)  # pyright: ignore[reportReturnType]


def exact_of_one_step(noise: float, rate: float) -> float:
    """Epsilon of one subsampled Gaussian: the hockey stick between N(0) and its mixture with N(1).

    The ratio of the two densities rises with x, so the region that counts is all above a point.
    """

    def excess(epsilon: float) -> float:
        point = noise**2 * math.log((math.exp(epsilon) - 1 + rate) / rate) + 0.5
        with_it = (1 - rate) * norm.sf(point / noise) + rate * norm.sf((point - 1) / noise)
        return float(with_it - math.exp(epsilon) * norm.sf(point / noise) - DELTA)

    return brentq(excess, 1e-9, 100)  # pyright: ignore[reportReturnType]


@pytest.mark.parametrize(("noise", "num_steps"), [(5.0, 20), (1.0, 1), (2.0, 3)])
def test_epsilon_without_sampling_is_just_above_its_closed_form(noise: float, num_steps: int):
    exact = exact_without_sampling(noise, num_steps)
    assert exact <= spent(noise, 1.0, num_steps, DELTA, "prv") <= exact + 0.02
    assert exact <= spent(noise, 1.0, num_steps, DELTA, "rdp") <= 1.15 * exact


@pytest.mark.parametrize(("noise", "rate"), [(1.1, 0.0128), (0.6, 0.3)])
def test_epsilon_of_one_step_is_just_above_its_closed_form(noise: float, rate: float):
    exact = exact_of_one_step(noise, rate)
    assert exact <= spent(noise, rate, 1, DELTA, "prv") <= exact + 0.02
    assert spent(noise, rate, 1, DELTA, "rdp") >= exact


@pytest.mark.parametrize(("setting", "by_loss", "by_renyi"), KNOWN)
def test_epsilon_agrees_with_another_library(setting, by_loss: float, by_renyi: float):
    assert by_loss <= spent(*setting, DELTA, "prv") <= by_loss + 0.02
    assert spent(*setting, DELTA, "rdp") == pytest.approx(by_renyi, rel=0.002)


@pytest.mark.parametrize("accountant", ["prv", "rdp"])
def test_more_noise_fewer_steps_and_a_lower_rate_spend_less(accountant: Accountant):
    def epsilon(noise: float = 1.0, rate: float = 0.02, num_steps: int = 100) -> float:
        return spent(noise, rate, num_steps, DELTA, accountant)

    assert epsilon(noise=2.0) < epsilon() < epsilon(noise=0.7)
    assert epsilon(rate=0.01) < epsilon() < epsilon(rate=0.04)
    assert epsilon(num_steps=50) < epsilon() < epsilon(num_steps=200)


@pytest.mark.parametrize(("accountant", "rate"), [("prv", 1.0), ("rdp", 1.0), ("rdp", 0.02)])
@pytest.mark.parametrize("target", [0.5, 3.0])
def test_calibrated_noise_just_meets_its_target(accountant: Accountant, rate: float, target: float):
    noise = calibrated(target, DELTA, rate, 4, accountant)
    assert 0.99 * target < spent(noise, rate, 4, DELTA, accountant) <= target
    assert spent(noise / 1.002, rate, 4, DELTA, accountant) > target


def test_much_noise_is_not_charged_for_a_lack_of_orders():
    """Up to order 63, as Opacus has it, the bound is 0.103; its closed form is below 0.01."""
    assert spent(50.0, 0.01, 100, DELTA, "rdp") < 0.01


def test_prv_says_what_it_cannot_compute_and_rdp_bounds_it():
    with pytest.raises(ValueError, match="use accountant: rdp"):
        spent(0.05, 0.0128, 7800, DELTA, "prv")
    assert 1e3 < spent(0.05, 0.0128, 7800, DELTA, "rdp") < math.inf
    with pytest.raises(ValueError, match="use accountant: rdp"):
        calibrated(1000.0, DELTA, 0.0128, 7800, "prv")
    assert 0.1 < calibrated(1000.0, DELTA, 0.0128, 7800, "rdp") < 0.3


def test_epsilons_that_nothing_reaches_are_refused():
    with pytest.raises(ValueError, match="no finite epsilon"):
        spent(1e-200, 1.0, 1, DELTA, "rdp")
    with pytest.raises(ValueError, match="ask for a larger epsilon"):
        calibrated(0.001, DELTA, 0.01, 10, "prv")
