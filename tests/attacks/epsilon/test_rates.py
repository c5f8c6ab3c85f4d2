import math

import numpy as np
import pytest
from scipy.stats import binom

from attacks.epsilon import epsilon_lower_bound, largest_certifiable


def test_an_attack_without_errors_has_the_closed_form_bound():
    upper_fnr, upper_fpr = 1 - 0.025 ** (1 / 300), 1 - 0.025 ** (1 / 1000)
    delta = 1e-3
    expected = math.log((1 - delta - upper_fnr) / upper_fpr)
    assert largest_certifiable(300, 1000, delta) == pytest.approx(expected, rel=1e-12)
    assert epsilon_lower_bound(300, 300, 0, 1000, delta) == pytest.approx(expected, rel=1e-12)


def test_the_docstrings_figures_hold():
    for number, figure in ((64, 2.8), (1000, 5.6)):
        bound = largest_certifiable(number, number, 0)
        assert bound == pytest.approx(figure, abs=0.05)
        assert bound == pytest.approx(math.log(number / 3.69), abs=0.05)


@pytest.mark.parametrize("errors", [(3, 7), (40, 1), (0, 20)])
def test_the_rates_are_put_where_so_few_errors_would_just_be_believed(errors):
    """The bound's own FNR and FPR, found by bisection of the binomial distribution."""
    misses, alarms = errors
    rates = []
    for count, number in ((misses, 200), (alarms, 500)):
        low, high = 0.0, 1.0
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (
                (middle, high) if binom.cdf(count, number, middle) > 0.025 else (low, middle)
            )
        rates.append(low)
    fnr, fpr = rates
    delta = 0.01
    expected = max(0, math.log((1 - delta - fnr) / fpr), math.log((1 - delta - fpr) / fnr))
    bound = epsilon_lower_bound(200 - misses, 200, alarms, 500, delta)
    assert bound == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("epsilon", "delta"), [(0.5, 0.0), (1.0, 0.05), (3.0, 1e-5)])
def test_randomized_response_exceeds_its_epsilon_as_rarely_as_promised(epsilon, delta):
    """With probability delta the bit is told; else it is kept with odds e^epsilon."""
    keep = math.exp(epsilon) / (1 + math.exp(epsilon))
    rng = np.random.default_rng(0)
    hits = rng.binomial(400, delta + (1 - delta) * keep, 2000)
    alarms = rng.binomial(400, (1 - delta) * (1 - keep), 2000)
    bounds = np.array(
        [
            epsilon_lower_bound(int(t), 400, int(f), 400, delta)
            for t, f in zip(hits, alarms, strict=True)
        ]
    )
    assert np.mean(bounds > epsilon) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 2000)
    assert np.median(bounds) > epsilon / 4  # and the bound is not trivially low


@pytest.mark.parametrize("delta", [0.0, 0.1])
def test_with_many_trials_the_bound_is_randomized_responses_epsilon(delta):
    keep = math.e / (1 + math.e)
    number = 10**12
    hits, alarms = (delta + (1 - delta) * keep) * number, (1 - delta) * (1 - keep) * number
    bound = epsilon_lower_bound(round(hits), number, round(alarms), number, delta)
    assert bound == pytest.approx(1, abs=1e-4)
    assert bound < 1


def test_members_and_non_members_may_change_places():
    """Calling the members "out" and the non-members "in" changes neither error."""
    bound = epsilon_lower_bound(80, 100, 3, 200, 1e-5)
    assert epsilon_lower_bound(197, 200, 20, 100, 1e-5) == pytest.approx(bound, rel=1e-12)


def test_n_thresholds_leave_each_an_nth_of_the_error():
    one, ten = (epsilon_lower_bound(90, 100, 1, 100, 0, 0.95, n) for n in (1, 10))
    assert ten < one
    assert ten == pytest.approx(epsilon_lower_bound(90, 100, 1, 100, 0, 0.995), rel=1e-9)


@pytest.mark.parametrize("positives", [(0, 0), (50, 50), (100, 100), (10, 90)])
def test_an_attack_no_better_than_chance_shows_nothing(positives):
    assert epsilon_lower_bound(positives[0], 100, positives[1], 100, 0) == 0


def test_what_is_told_with_probability_delta_does_not_count():
    assert epsilon_lower_bound(100, 100, 0, 100, 0.99) == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"true_positives": 11}, "11 positives of 10 members"),
        ({"false_positives": -1}, "-1 positives of 10 non-members"),
        ({"num_members": 0, "true_positives": 0}, "1 or more members"),
        ({"delta": 1.0}, "delta"),
        ({"confidence": 95}, "confidence"),
        ({"num_thresholds": 0}, "threshold"),
    ],
)
def test_impossible_numbers_are_refused(change, message):
    counts = {"true_positives": 5, "num_members": 10, "false_positives": 1, "num_non_members": 10}
    with pytest.raises(ValueError, match=message):
        epsilon_lower_bound(**({"delta": 0} | counts | change))
