"""The test of a trade-off function by one training with many canaries, and its Gaussian bound."""

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from scipy.special import ndtr, ndtri

from attacks.epsilon import (
    gaussian_bound,
    one_run_bound,
    trade_off_p_value,
)
from attacks.epsilon.gaussian import gaussian_least_fpr
from attacks.epsilon.trade_off import least_fpr_of, refuted
from attacks.gaussian_noise import epsilon_of, log_delta
from tests.made.worst_mechanism import gaussian_lines, most_probable, sides, trade_off, worst


def randomized_response(epsilon: float, delta: float = 0) -> Callable[[float], float]:
    """The least FPR of a TPR at (epsilon, delta)."""
    keep = math.exp(epsilon)
    return lambda tpr: max(0.0, 1 - delta - keep * (1 - tpr), (tpr - delta) / keep)


def as_printed(m: int, r: int, v: int, least: Callable[[Fraction], Fraction], error: Fraction):
    """Algorithms 2 and 3 of the paper as they are printed, in whole fractions."""
    threshold = error * Fraction(r, m)
    right, wrong = threshold * Fraction(v, r), threshold * Fraction(r - v, r)
    for i in range(v - 1, -1, -1):
        before = wrong
        wrong = max(wrong, least(right))
        right += Fraction(i, r - i) * (wrong - before)
    return right + wrong > Fraction(r, m)


@pytest.mark.parametrize(("m", "r"), [(12, 12), (30, 9), (40, 25)])
def test_it_refutes_what_the_papers_recursion_refutes_in_whole_fractions(m: int, r: int):
    keep, delta = Fraction(5, 2), Fraction(1, 100)

    def least(tpr: Fraction) -> Fraction:
        return max(Fraction(0), 1 - delta - keep * (1 - tpr), (tpr - delta) / keep)

    ours = randomized_response(math.log(keep), float(delta))
    for v in range(r + 1):
        edge = trade_off_p_value(m, r, v, ours)
        assert not as_printed(m, r, v, least, Fraction(edge) * Fraction(999_999, 1_000_000))
        if edge < 1:
            assert as_printed(m, r, v, least, Fraction(edge) * Fraction(1_000_001, 1_000_000))


@pytest.mark.parametrize(("m", "r", "v"), [(12, 12, 9), (12, 12, 12), (30, 9, 7), (40, 24, 17)])
def test_the_p_value_is_the_largest_chance_that_the_theorem_leaves(m: int, r: int, v: int):
    """Against a linear program over all distributions, with the Gaussian as 200 tangents."""
    epsilon, delta = 0.8, 0.02
    keep = math.exp(epsilon)
    lines = [(0.0, 0.0), (keep, 1 - delta - keep), (1 / keep, -delta / keep)]
    expected = trade_off_p_value(m, r, v, randomized_response(epsilon, delta))
    assert most_probable(m, r, v, lines) == pytest.approx(expected, rel=1e-6)

    mu = 0.9
    rates = np.concatenate([np.geomspace(1e-6, 0.5, 100), 1 - np.geomspace(1e-6, 0.5, 100)])
    least = gaussian_least_fpr(mu)
    slopes = np.exp(mu * ndtri(rates) - mu**2 / 2).tolist()
    tangents = [(s, least(t) - s * t) for s, t in zip(slopes, rates.tolist(), strict=True)]
    found = most_probable(m, r, v, tangents)  # tangents lie below, and allow a little more
    assert found == pytest.approx(trade_off_p_value(m, r, v, least), rel=1e-3)


def test_of_guesses_that_are_all_right_it_is_as_sharp_as_randomized_response():
    for m, epsilon in ((8, 0.0), (20, 0.7), (50, 2.0)):
        right = 1 / (1 + math.exp(-epsilon))
        found = trade_off_p_value(m, m, m, randomized_response(epsilon))
        assert found == pytest.approx(right**m, rel=1e-9)


def test_bounds_agree_with_jax_privacy():
    """What its version 2.0.0 printed for the same counts, to the 6 digits of its solver."""
    for (m, r, v, delta), printed in {
        (200, 100, 80, 1e-4): 1.560318,
        (1000, 200, 200, 1e-3): 5.385298,
        (1000, 100, 97, 1e-5): 3.861513,
        (1000, 100, 99, 1e-5): 4.726715,
        (1000, 500, 458, 1e-5): 3.694282,
        (50, 20, 13, 1e-3): 0.0,
        (500, 400, 390, 1e-2): 3.366652,
        (5000, 2500, 2000, 1e-6): 2.363758,
    }.items():
        found = epsilon_of(gaussian_bound(m, r, v), delta)
        assert found == pytest.approx(printed, abs=2e-6)


@pytest.mark.parametrize("mu", [0.5, 1.7])
@pytest.mark.parametrize(("m", "r", "v"), [(10, 10, 8), (16, 10, 9)])
def test_no_mechanism_of_the_trade_off_is_right_more_often_than_the_p_value_says(
    mu: float, m: int, r: int, v: int
):
    """The best there is of those that guess any set as gladly as another comes near it."""
    counts = worst(m, r, v, gaussian_lines(mu, 40, lambda *at: math.exp(log_delta(*at))))
    fpr, tpr = trade_off(sides(counts, m), m, r)
    least = [gaussian_least_fpr(mu)(t) for t in np.clip(tpr, 0, 1)]
    assert np.all(fpr >= np.array(least) - 2e-3)  # it is mu-GDP, but for the gaps between lines
    most, chance = trade_off_p_value(m, r, v, gaussian_least_fpr(mu)), counts[v:].sum()
    assert 0.7 * most <= chance <= most * 1.02


@pytest.mark.parametrize("mu", [0.4, 1.0, 2.0])
@pytest.mark.parametrize("num_guesses", [20, 100, 200])
def test_the_bound_exceeds_a_gaussian_mechanisms_mu_as_rarely_as_promised(
    mu: float, num_guesses: int
):
    """Of 200 canaries each is told by noise of its own: what is guessed of best is guessed."""
    random, repeats = np.random.default_rng(0), 1000
    coins = random.random((repeats, 200)) < 0.5
    told = np.where(coins, mu / 2, -mu / 2) + random.standard_normal(coins.shape)
    surest = np.argsort(-abs(told), axis=1)[:, :num_guesses]
    right = np.take_along_axis((told > 0) == coins, surest, 1).sum(axis=1)
    values, counts = np.unique(right, return_counts=True)
    bounds = np.array([gaussian_bound(200, num_guesses, int(v)) for v in values])
    assert counts[bounds > mu].sum() / repeats <= 0.05
    if num_guesses == 100:
        assert bounds[np.searchsorted(values, int(np.median(right)))] > 0.2 * mu


def test_it_bounds_nothing_of_a_training_whose_trade_off_is_not_gaussian():
    """Randomized response of epsilon 3 keeps its word, and a Gaussian of epsilon 5 cannot do it."""
    right = round(1000 / (1 + math.exp(-3)))
    assert one_run_bound(1000, 1000, right, 1e-5) < 3
    assert epsilon_of(gaussian_bound(1000, 1000, right), 1e-5) > 5
    assert trade_off_p_value(1000, 1000, right, randomized_response(3)) > 0.5


def test_corners_of_a_roc_curve_are_as_sharp_as_the_trade_off_that_they_are_of():
    mu = 1.3
    scores = np.linspace(-8, 8 + mu, 2000)
    fpr, tpr = ndtr(-scores)[::-1], ndtr(mu - scores)[::-1]
    ends = np.concatenate(([0.0], fpr, [1.0])), np.concatenate(([0.0], tpr, [1.0]))
    found, exact = least_fpr_of(*ends), gaussian_least_fpr(mu)
    for rate in (0.0, 1e-3, 0.05, 0.3, 0.7, 0.95, 0.999, 1.0):
        assert found(rate) == pytest.approx(exact(rate), abs=1e-5)
    for counts in ((200, 100, 85), (50, 50, 45)):
        expected = trade_off_p_value(*counts, exact)
        assert trade_off_p_value(*counts, found) == pytest.approx(expected, rel=1e-3)


def test_a_curve_that_differs_when_turned_round_counts_both_ways_and_stays_convex():
    """All members are seen at an FPR of 0.5; all non-members at a price of 0.2 of the members."""
    fpr, tpr = np.array([0.0, 0.0, 0.5, 1.0]), np.array([0.0, 0.2, 1.0, 1.0])
    least = least_fpr_of(fpr, tpr)
    rates = np.linspace(0, 1, 101)
    found = np.array([least(rate) for rate in rates])
    assert np.all(np.diff(found, 2) >= -1e-12)
    assert np.all(found <= np.interp(rates, tpr[1:], fpr[1:], left=0) + 1e-12)
    assert np.all(found <= 1 - np.interp(1 - rates, fpr[1:], tpr[1:]) + 1e-12)
    assert (least(0.2), least(0.5), least(1.0)) == (0.0, 0.0, 0.5)


def test_more_canaries_and_more_tries_show_less_and_more_correct_guesses_more():
    bound = gaussian_bound(500, 100, 80)
    assert gaussian_bound(5000, 100, 80) < bound < gaussian_bound(500, 100, 81)
    three = gaussian_bound(500, 100, 80, num_tried=3)
    assert three == gaussian_bound(500, 100, 80, 1 - 0.05 / 3) < bound
    assert gaussian_bound(500, 100, 50) == gaussian_bound(500, 0, 0) == 0


def test_impossible_arguments_are_refused():
    for counts in ((10, 11, 5), (10, 5, 6), (10, 5, -1)):
        with pytest.raises(ValueError, match="correct guesses <= guesses <= canaries"):
            refuted(*counts, gaussian_least_fpr(1), 0.05)
        with pytest.raises(ValueError, match="correct guesses <= guesses <= canaries"):
            gaussian_bound(*counts)
    with pytest.raises(ValueError, match="expected a confidence"):
        gaussian_bound(10, 5, 5, 1.0)
