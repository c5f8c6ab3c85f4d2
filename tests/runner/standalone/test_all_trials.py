"""Tests that count every trial: the noise where no gradient is, and guesses of the coin."""

import math

import numpy as np
import pytest
from scipy.special import ndtr
from scipy.stats import binom

from defenses.dp_sgd import DPSGD
from runner.standalone.dp_guesses import Guesses, even_odds, guesses_of, most_right
from runner.standalone.dp_noise import POWER, noise_shown
from runner.standalone.dp_trials import LAYERS, PIXELS, Setting, ceiling_of
from tests.made.dp_trials import CLIP, HALVES, NOISE, run_all


def energies(noise: float, repeats: int, trials: int = 40) -> np.ndarray:
    """Sums of squares of Gaussian noise, (repeats, trials, LAYERS)."""
    random = np.random.default_rng(0)
    return noise**2 * random.chisquare(PIXELS, (repeats, trials, LAYERS))


def test_the_silent_coordinates_hold_the_noise_and_nothing_else():
    for noise, setting in ((3.0, Setting(8, 4, 4)), (0.0, HALVES)):
        found = run_all(DPSGD(noise_multiplier=noise, max_grad_norm=CLIP), setting, 60)
        freedom = 60 * PIXELS
        spread = 4 * noise**2 * math.sqrt(2 / freedom)
        assert found.energies.shape == (60, LAYERS)
        means = found.energies.sum(0) / freedom
        assert means == pytest.approx([noise**2] * LAYERS, abs=spread + 1e-8)


def test_noise_as_claimed_is_accused_as_rarely_as_promised_and_the_shortfall_seen_as_surely():
    claimed, repeats, error = 2.0, 4000, 0.05

    def accused(noise: float) -> float:
        told = [noise_shown(e, PIXELS, claimed, error) for e in energies(noise, repeats)]
        return float(np.mean([each.alarm is not None for each in told]))

    shortfall = noise_shown(energies(1, 1)[0], PIXELS, claimed, error).shortfall
    spread = 3 * math.sqrt(error * (1 - error) / repeats)
    assert accused(claimed) == pytest.approx(error, abs=spread + error**2)
    one_layer = energies(claimed, repeats)
    one_layer[..., 0] *= (1 - shortfall) ** 2
    seen = np.mean([noise_shown(e, PIXELS, claimed, error).alarm is not None for e in one_layer])
    assert POWER - spread <= seen <= POWER + spread + error


def test_a_thousand_trials_see_noise_that_lacks_little_more_than_one_percent():
    told = noise_shown(energies(4, 1, 1000)[0], PIXELS, 4, 0.01)
    assert told.shortfall == pytest.approx(0.01174, abs=1e-5)
    assert told.num_coordinates == 64_000
    assert told.at_most == pytest.approx(4, rel=0.015)


@pytest.mark.parametrize("noise", [0.4, 1.0, 4.0])
def test_of_one_full_batch_a_coin_is_guessed_as_well_as_two_gaussians_are_told_apart(noise: float):
    defense, setting = DPSGD(noise_multiplier=noise), Setting(16, 16, 1)
    exact = float(ndtr(1 / (2 * noise)))
    found = most_right(*ceiling_of(defense, setting))
    assert exact - 1e-12 <= found <= exact + 1e-5
    assert even_odds(noise, 1.0, 1) == pytest.approx(0.5)


def test_even_odds_are_where_both_densities_meet():
    noise, rate, steps = 1.5, 0.25, 4
    s, deviation = even_odds(noise, rate, steps), noise * math.sqrt(steps)

    def density(mean: float) -> float:
        return math.exp(-((s - mean) ** 2) / (2 * deviation**2))

    inside = sum(binom.pmf(k, steps, rate) * density(k) for k in range(steps + 1))
    assert inside == pytest.approx(density(0))


def test_guesses_are_counted_by_the_threshold_and_their_p_value_is_the_binomials():
    member = np.array([True, True, False, False])
    found = guesses_of(member, np.array([2.0, 0.5, 1.0, 0.0]), 1.0, 0.7, 0.01)
    assert (found.num_right, found.num) == (2, 4)
    assert found.p_value == pytest.approx(binom.sf(1, 4, 0.7))
    assert Guesses(0, 4, 0.7, 0.01).p_value == 1
    first = int(binom.isf(0.01, 1000, 0.6)) + 1
    assert Guesses(first - 1, 1000, 0.6, 0.01).alarm is None
    assert "none is right of more than 60.0%" in (Guesses(first, 1000, 0.6, 0.01).alarm or "")


def test_where_nothing_is_proved_every_guess_may_be_right():
    unproved = DPSGD(noise_multiplier=1, poisson_sampling=False)
    assert most_right(*ceiling_of(unproved, HALVES)) == 1
    assert Guesses(1000, 1000, 1.0, 0.01).alarm is None


def test_the_honest_dp_sgd_guesses_no_better_than_its_guarantee_lets():
    found = run_all(DPSGD(noise_multiplier=NOISE, max_grad_norm=CLIP), HALVES, 100)
    told = guesses_of(found.is_in, found.scores[:, 0], even_odds(NOISE, 0.5, 2), 0.538, 0.01)
    assert told.alarm is None
