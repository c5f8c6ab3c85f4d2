"""Bounds from canaries that come in groups."""

import math

import numpy as np
import pytest

from attacks.epsilon import epsilon_lower_bound, of_one


def test_a_group_of_one_is_one_and_without_delta_k_divide_the_bound():
    def bound(delta: float) -> float:
        return epsilon_lower_bound(90, 100, 2, 100, delta)

    assert of_one(bound, 1e-3, 1) == pytest.approx(bound(1e-3), rel=1e-9)
    for k in (2, 5):
        assert of_one(bound, 0.0, k) == pytest.approx(bound(0.0) / k, rel=1e-9)


def test_with_delta_the_bound_solves_the_rule_of_group_privacy():
    def bound(delta: float) -> float:
        return epsilon_lower_bound(90, 100, 2, 100, delta)

    for k, delta in ((2, 1e-3), (8, 1e-2)):
        epsilon = of_one(bound, delta, k)
        together = delta * (math.exp(k * epsilon) - 1) / (math.exp(epsilon) - 1)
        assert bound(together) == pytest.approx(k * epsilon, rel=1e-6)
        assert 0 < epsilon < bound(delta) / k
    assert of_one(bound, 0.3, 4) == 0
    with pytest.raises(ValueError, match="1 example or more, got k 0"):
        of_one(bound, 0.1, 0)


@pytest.mark.parametrize("delta", [0.0, 0.01])
def test_groups_exceed_the_epsilon_of_one_as_rarely_as_promised(delta: float):
    """Three copies of a bit, each told with probability delta, else by randomized response."""
    epsilon, k, num, repeats = 0.5, 3, 300, 2000
    right = delta + (1 - delta) * math.exp(epsilon) / (1 + math.exp(epsilon))
    wrong = 1 - right
    random = np.random.default_rng(0)
    hits, alarms = (random.binomial(num, chance**k, repeats) for chance in (right, wrong))
    found = {
        pair: of_one(
            lambda d, pair=pair: epsilon_lower_bound(pair[0], num, pair[1], num, d), delta, k
        )
        for pair in {(int(h), int(a)) for h, a in zip(hits, alarms, strict=True)}
    }
    bounds = np.array([found[int(h), int(a)] for h, a in zip(hits, alarms, strict=True)])
    assert np.mean(bounds > epsilon) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / repeats)
    assert np.median(bounds) > epsilon / 4


def test_many_trials_with_copies_give_the_epsilon_of_one():
    keep, number = math.e**0.5 / (1 + math.e**0.5), 10**12
    hits, alarms = round(number * keep**3), round(number * (1 - keep) ** 3)
    bound = of_one(lambda d: epsilon_lower_bound(hits, number, alarms, number, d), 0.0, 3)
    assert bound == pytest.approx(0.5, abs=1e-4)
