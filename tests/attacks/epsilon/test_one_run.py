"""Bounds from one training with many canaries."""

import math

import numpy as np
import pytest
from scipy.special import logit

from attacks.epsilon import epsilon_lower_bound, guess, one_run_bound
from attacks.epsilon.one_run import _at_least
from tests.attacks.oracles import largest_of_one_run


def p_value(m: int, r: int, v: int, epsilon: float, delta: float) -> float:
    """Theorem 5.2, term by term."""
    keep = math.exp(epsilon) / (1 + math.exp(epsilon))
    mass = [math.comb(r, n) * keep**n * (1 - keep) ** (r - n) for n in range(r + 1)]
    alpha = max((sum(mass[v - i : v]) / i for i in range(1, v + 1)), default=0)
    return sum(mass[v:]) + 2 * m * delta * alpha


@pytest.mark.parametrize(
    ("canaries", "guesses", "correct", "delta", "printed"),
    [(1000, 100, 75, 1e-4, 0.673), (100_000, 1510, 1439, 1e-5, 2.675)],
)
def test_the_papers_printed_figures_come_out(
    canaries: int, guesses: int, correct: int, delta: float, printed: float
):
    """Of appendix D and section 7 of https://arxiv.org/abs/2305.08846, rounded or cut."""
    assert one_run_bound(canaries, guesses, correct, delta) == pytest.approx(printed, abs=1e-3)


def test_bounds_agree_with_jax_privacy():
    """What its version 2.0.0 printed for the same counts."""
    for (m, r, v, delta), printed in {
        (200, 100, 80, 0.0): 0.95839,
        (200, 100, 80, 1e-4): 0.95221,
        (1000, 200, 200, 1e-3): 1.73045,
        (50, 20, 13, 1e-3): 0.0,
        (500, 400, 390, 1e-2): 0.14034,
    }.items():
        assert one_run_bound(m, r, v, delta) == pytest.approx(printed, abs=1e-5)
    for delta, printed in {0.0: 2.79364, 1e-3: 2.79242, 0.05: 2.73102}.items():
        assert epsilon_lower_bound(90, 100, 4, 200, delta) == pytest.approx(printed, abs=1e-5)


@pytest.mark.parametrize("delta", [0.0, 1e-3, 0.004, 0.02])
@pytest.mark.parametrize("correct", [30, 36, 40])
def test_the_bound_is_the_first_epsilon_that_is_not_refuted(delta: float, correct: int):
    """0.02 makes 2 m delta more than 1, where the p-value need not grow with epsilon."""
    grid = np.arange(0, 4, 0.01)
    refuted = [p_value(60, 40, correct, e, delta) <= 0.05 for e in grid]
    first = float(grid[refuted.index(False)])
    bound = one_run_bound(60, 40, correct, delta)
    assert max(first - 0.01, 0) <= bound + 1e-9
    assert bound <= first
    if bound:
        assert p_value(60, 40, correct, bound, delta) == pytest.approx(0.05, rel=1e-6)


@pytest.mark.parametrize("trials", [1, 2, 10, 60, 300])
def test_the_tail_of_the_binomial_is_the_sum_of_its_terms_in_whole_numbers(trials: int):
    numbers = np.unique(np.linspace(0, trials, 7, dtype=int))
    for epsilon in (0.0, 0.1, 1.0, 3.0, 6.0):
        chance = 1 / (1 + math.exp(-epsilon))
        keep, whole = chance.as_integer_ratio()
        terms = [
            math.comb(trials, n) * keep**n * (whole - keep) ** (trials - n)
            for n in range(trials + 1)
        ]
        expected = [sum(terms[number:]) / whole**trials for number in numbers]
        np.testing.assert_allclose(_at_least(numbers, trials, chance), expected, rtol=1e-12)


def test_guesses_without_error_have_a_closed_form_and_the_docstrings_figures_hold():
    for guesses, figure in ((100, 3.5), (1000, 5.8)):
        bound = largest_of_one_run(2000, guesses, 0)
        assert bound == pytest.approx(float(logit(0.05 ** (1 / guesses))), rel=1e-9)
        assert bound == pytest.approx(figure, abs=0.05)
        assert bound == pytest.approx(math.log(guesses / 3), abs=0.02)


def test_more_delta_more_canaries_and_more_tries_show_less_and_more_correct_guesses_more():
    bound = one_run_bound(500, 100, 80, 1e-4)
    assert one_run_bound(500, 100, 80, 1e-3) < bound
    assert one_run_bound(5000, 100, 80, 1e-4) < bound
    assert one_run_bound(500, 100, 81, 1e-4) > bound
    three = one_run_bound(500, 100, 80, 1e-4, num_tried=3)
    assert three < bound
    assert three == pytest.approx(one_run_bound(500, 100, 80, 1e-4, 1 - 0.05 / 3))
    assert one_run_bound(500, 100, 50, 0) == one_run_bound(500, 0, 0, 0) == 0


@pytest.mark.parametrize(("epsilon", "delta"), [(0.0, 0.0), (1.0, 0.0), (3.0, 0.0), (1.0, 1e-3)])
@pytest.mark.parametrize("num_guesses", [40, 200])
def test_one_run_exceeds_randomized_responses_epsilon_as_rarely_as_promised(
    epsilon: float, delta: float, num_guesses: int
):
    """Of 200 canaries each is told with probability delta, and then surely guessed of."""
    keep, repeats = 1 / (1 + math.exp(-epsilon)), 4000
    random = np.random.default_rng(0)
    told = np.minimum(random.binomial(200, delta, repeats), num_guesses)
    correct = told + random.binomial(num_guesses - told, keep)
    values, counts = np.unique(correct, return_counts=True)
    bounds = np.array([one_run_bound(200, num_guesses, int(v), delta) for v in values])
    exceeding = counts[bounds > epsilon].sum() / repeats
    assert exceeding <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / repeats)
    if epsilon and not delta and num_guesses == 200:
        assert bounds[np.searchsorted(values, np.median(correct))] > epsilon / 2


def test_guesses_call_the_top_in_and_the_bottom_out_and_say_nothing_between():
    said = guess(np.array([0.1, 5.0, -3.0, 0.2, 4.0, 0.0]), 2, 1)
    assert said.tolist() == [0, 1, -1, 0, 1, 0]
    assert guess(np.arange(3.0), 0, 0).tolist() == [0, 0, 0]
    assert guess(np.zeros(4), 2, 2).tolist() == [-1, -1, 1, 1]
    with pytest.raises(ValueError, match="3 guesses of in and 1 of out for 3 canaries"):
        guess(np.arange(3.0), 3, 1)


@pytest.mark.parametrize("counts", [(10, 11, 5), (10, 5, 6), (10, 5, -1)])
def test_impossible_counts_of_one_run_are_refused(counts: tuple[int, int, int]):
    with pytest.raises(ValueError, match="correct guesses <= guesses <= canaries"):
        one_run_bound(*counts, 0.0)
