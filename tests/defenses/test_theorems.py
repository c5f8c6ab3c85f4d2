"""Budgets of residual perturbation, held to the theorems as they are printed in the paper."""

import math
from typing import Any

import numpy as np
import pytest
from scipy.optimize import brentq, minimize_scalar

from defenses._theorems import noise_1, noise_2, theorem_1, theorem_2

ONE: Any = {"G": 30.0, "R": 20.0, "T": 7000, "b": 128, "N": 9988, "delta": 1e-5}
TWO: Any = {"eta": 0.3, "B": 2.0, "a": 1.5, "M": 3, "delta": 1e-5}
PAIRS = [(0.5, 0.25), (40.0, 10.0), (900.0, 2000.0)]  # gamma, pi: epsilon from 1e6 to 3


def alpha(epsilon: float, lambda_: float, delta: float) -> float:
    """Both theorems' order."""
    return math.log(1 / delta) / ((1 - lambda_) * epsilon) + 1


def smallest_epsilon(surplus: Any) -> float:
    """The root in epsilon of a theorem's inequality, at the lambda where that root is smallest."""

    def root(lambda_: float) -> float:
        found: Any = brentq(lambda log: surplus(math.exp(log), lambda_), -20, 30, xtol=1e-13)
        return found

    best: Any = minimize_scalar(
        root, bounds=(1e-6, 1 - 1e-6), method="bounded", options={"xatol": 1e-12}
    )
    return math.exp(best.fun)


def surplus_1(gamma: float, pi: float) -> Any:
    """How far the noise is above what Theorem 1 asks, as the paper writes it."""

    def surplus(epsilon: float, lambda_: float) -> float:
        order = alpha(epsilon, lambda_, ONE["delta"])
        root = math.sqrt(2 * ONE["T"] * ONE["b"] * order / (ONE["N"] * lambda_ * epsilon))
        return min(gamma / (ONE["G"] * root), pi / (ONE["R"] * root)) - 1

    return surplus


def surplus_2(gamma: float, pi: float) -> Any:
    """The same of Theorem 2, with `a` where its statement misprints the order."""

    def surplus(epsilon: float, lambda_: float) -> float:
        order = alpha(epsilon, lambda_, TWO["delta"])
        root = math.sqrt(2 * order * TWO["M"] / (lambda_ * epsilon))
        return min(gamma / (TWO["B"] / TWO["eta"] * root), pi / (TWO["a"] * root)) - 1

    return surplus


@pytest.mark.parametrize(("gamma", "pi"), PAIRS)
def test_theorem_1_is_the_smallest_epsilon_of_the_printed_inequality(gamma: float, pi: float):
    budget = theorem_1(gamma=gamma, pi=pi, M=3, **ONE)
    surplus = surplus_1(gamma, pi)
    assert budget.epsilon == pytest.approx(smallest_epsilon(surplus), rel=1e-6)
    assert surplus(budget.epsilon, budget.lambda_) == pytest.approx(0, abs=1e-9)
    assert budget.order == pytest.approx(alpha(budget.epsilon, budget.lambda_, ONE["delta"]))


@pytest.mark.parametrize(("gamma", "pi"), PAIRS)
def test_theorem_2_is_the_smallest_epsilon_of_the_printed_inequality(gamma: float, pi: float):
    budget = theorem_2(gamma=gamma, pi=pi, **TWO)
    surplus = surplus_2(gamma, pi)
    assert budget.epsilon == pytest.approx(smallest_epsilon(surplus), rel=1e-6)
    assert surplus(budget.epsilon, budget.lambda_) == pytest.approx(0, abs=1e-9)
    assert budget.order == pytest.approx(alpha(budget.epsilon, budget.lambda_, TWO["delta"]))


@pytest.mark.parametrize(("gamma", "pi"), PAIRS)
def test_no_lambda_on_a_grid_gives_a_smaller_epsilon(gamma: float, pi: float):
    budget = theorem_1(gamma=gamma, pi=pi, M=3, **ONE)
    grid = np.linspace(0, 1, 20001)[1:-1]
    s = min(pi / ONE["R"], gamma / ONE["G"]) ** 2
    K = 2 * ONE["T"] * ONE["b"] / ONE["N"]
    for epsilon, meets in ((budget.epsilon * (1 - 1e-6), False), (budget.epsilon * 1.01, True)):
        order = math.log(1 / ONE["delta"]) / ((1 - grid) * epsilon) + 1
        assert (s * grid * epsilon >= K * order).any() == meets


@pytest.mark.parametrize("epsilon", [1e-3, 1.0, 8.0, 1.1e3, 3e6])
def test_the_smallest_noise_gives_back_its_epsilon(epsilon: float):
    one = noise_1(epsilon=epsilon, k=5, **ONE)
    two = noise_2(epsilon=epsilon, queries=7, composed=True, **TWO)
    back = theorem_1(gamma=one.gamma, pi=one.pi, M=3, k=5, **ONE)
    assert back.epsilon == pytest.approx(epsilon, rel=1e-12)
    back = theorem_2(gamma=two.gamma, pi=two.pi, queries=7, composed=True, **TWO)
    assert back.epsilon == pytest.approx(epsilon, rel=1e-12)


def test_the_smaller_of_the_two_noises_decides():
    at = noise_1(epsilon=4.0, **ONE)
    for more in ({"gamma": 9 * at.gamma, "pi": at.pi}, {"gamma": at.gamma, "pi": 9 * at.pi}):
        assert theorem_1(M=3, **more, **ONE).epsilon == pytest.approx(4.0)
    assert theorem_1(gamma=1.1 * at.gamma, pi=1.1 * at.pi, M=3, **ONE).epsilon < 4.0


@pytest.mark.parametrize(
    ("letter", "rises"),
    [("gamma", 0), ("T", 1), ("b", 1), ("N", 0), ("k", 1), ("G", 1), ("delta", 0)],
)
def test_theorem_1_moves_the_right_way_with_every_letter(letter: str, rises: bool):
    base = {"gamma": 4.0, "pi": 40.0, "M": 3, "k": 1} | ONE
    one, two = (theorem_1(**base | {letter: f * base[letter]}).epsilon for f in (1, 2))
    assert (two > one) == rises
    assert two != one


@pytest.mark.parametrize(
    ("letter", "rises"), [("gamma", 0), ("eta", 0), ("B", 1), ("M", 1), ("queries", 1)]
)
def test_theorem_2_moves_the_right_way_with_every_letter(letter: str, rises: bool):
    base = {"gamma": 4.0, "pi": 40.0, "queries": 1} | TWO
    one, two = (theorem_2(**base | {letter: f * base[letter]}).epsilon for f in (1, 2))
    assert (two > one) == rises
    assert two != one


def test_layers_are_the_fractions_that_theorem_1_states():
    budget = theorem_1(gamma=900, pi=900, M=3, **ONE)
    lambda_, epsilon = budget.lambda_, budget.epsilon
    mappings = [(lambda_ / (i + 1) + (1 - lambda_)) * epsilon for i in range(3)]
    last = (lambda_ / (3 + 1) + (1 - lambda_)) * epsilon
    assert budget.layers == pytest.approx((*mappings, last))
    assert budget.layers[0] == pytest.approx(epsilon)
    assert theorem_2(gamma=1, pi=1, **TWO).layers == ()


def test_members_answers_and_the_last_layer_compose_as_that_many_releases():
    one = {"gamma": 900.0, "pi": 900.0, "M": 3}
    assert theorem_1(k=5, **one, **ONE) == theorem_1(**one, **ONE | {"T": 5 * ONE["T"]})
    two = {"gamma": 9.0, "pi": 9.0}
    assert theorem_2(queries=5, **two, **TWO) == theorem_2(**two, **TWO | {"M": 15})
    assert theorem_2(composed=True, **two, **TWO) == theorem_2(**two, **TWO | {"M": 4})


def test_one_gaussian_release_is_the_textbook_bound():
    """K / s = 2 (G / gamma)^2 is a sensitivity of 2 G: alpha (2 G)^2 / (2 gamma^2)."""
    facts = {"G": 1.0, "R": 1.0, "T": 1, "b": 1, "N": 1, "delta": 1e-5, "M": 1}
    rho = (2 * 1.0) ** 2 / (2 * 8.0**2)
    expected = rho + 2 * math.sqrt(rho * math.log(1e5))
    assert theorem_1(gamma=8.0, pi=8.0, **facts).epsilon == pytest.approx(expected)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"pi": 0.0}, "pi must be above 0 and finite, got 0"),
        ({"gamma": -1.0}, "gamma must be above 0 and finite, got -1"),
        ({"R": math.inf}, "R must be above 0 and finite, got inf"),
        ({"N": math.nan}, "N must be above 0 and finite, got nan"),
        ({"delta": 0.0}, "delta must lie between 0 and 1, got 0"),
        ({"delta": 1.0}, "delta must lie between 0 and 1, got 1"),
        ({"gamma": 1e-200}, "beyond any float"),
    ],
)
def test_a_premise_that_fails_gives_no_guarantee(wrong: Any, told: str):
    with pytest.raises(ValueError, match=f"^no guarantee: .*{told}"):
        theorem_1(**{"gamma": 1.0, "pi": 1.0, "M": 3} | ONE | wrong)


def test_strategy_2_without_its_floor_or_an_epsilon_of_0_gives_no_guarantee():
    with pytest.raises(ValueError, match=r"^no guarantee: eta must be above 0"):
        theorem_2(gamma=1, pi=1, **TWO | {"eta": 0.0})
    with pytest.raises(ValueError, match=r"^no guarantee: epsilon must be above 0"):
        noise_2(epsilon=0.0, **TWO)
