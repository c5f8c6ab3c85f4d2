"""Ceilings against closed forms, quadrature, simulated attacks and another library."""

import math

import numpy as np
import pytest
from scipy.stats import norm

from defenses import Facts
from defenses._accounting import calibrated_to_tpr
from defenses._loss_distribution import Steps, one_example, summed
from defenses._trade_off import LEAST, TradeOff, trade_off
from defenses.dp_sgd import DPSGD

FPRS = np.array([1e-5, 1e-3, 0.01, 0.1, 0.5, 0.9])
RATE, STEPS = 256 / 25_000, 98 * 50


def tprs(found: TradeOff, fprs: np.ndarray = FPRS) -> np.ndarray:
    return np.array([found.tpr_at(fpr) for fpr in fprs])


@pytest.mark.parametrize(("neighbours", "copies", "mu"), [("added", 3, 3.0), ("replaced", 1, 2.0)])
def test_without_sampling_the_ceiling_is_just_above_the_gaussian_curve(neighbours, copies, mu):
    found = trade_off(4.0, 1.0, 16, neighbours, copies)
    exact = norm.cdf(norm.ppf(FPRS) + mu)
    assert np.all(exact <= tprs(found))
    np.testing.assert_allclose(tprs(found), exact, rtol=2e-5)
    assert norm.cdf(mu / math.sqrt(2)) <= found.auc() < norm.cdf(mu / math.sqrt(2)) + 1e-6
    assert mu <= found.mu() < mu + 1e-4


@pytest.mark.parametrize(("noise", "rate"), [(1.1, 0.0128), (0.5, 0.3), (3.0, 0.9), (0.02, 0.1)])
@pytest.mark.parametrize("neighbours", ["added", "replaced"])
def test_the_ceiling_of_one_step_is_just_above_its_best_test(noise, rate, neighbours):
    """Of one step the ratio of densities grows with the output, so the best test is a threshold."""
    at = np.linspace(-1 - 8 * noise, 1 + 8 * noise, 20_001)
    beside, with_it, opposite = (norm.sf((at - c) / noise) for c in (0, 1, -1))
    out = beside if neighbours == "added" else (1 - rate) * beside + rate * opposite
    within = (1 - rate) * beside + rate * with_it
    found = trade_off(noise, rate, 1, neighbours)
    exact = np.interp(FPRS, out[::-1], within[::-1])
    assert np.all(exact <= tprs(found) + 1e-12)
    np.testing.assert_allclose(tprs(found), exact, rtol=1e-2)


def two_steps(noise: float, rate: float, nodes: int = 3001) -> tuple[np.ndarray, np.ndarray]:
    """FPR and TPR of the best test of two steps, by the sum over a plane of outputs."""
    x = np.linspace(-8 * noise, 1 + 8 * noise, nodes)
    cell = x[1] - x[0]
    without = norm.pdf(x, 0, noise) * cell
    within = (1 - rate) * without + rate * norm.pdf(x, 1, noise) * cell
    out, there = (np.outer(one, one).ravel() for one in (without, within))
    order = np.argsort(-there / out, kind="stable")
    return np.cumsum(out[order]), np.cumsum(there[order])


def test_the_ceiling_of_two_steps_is_what_a_plane_of_outputs_gives():
    fpr, tpr = two_steps(0.8, 0.2)
    exact = np.interp(FPRS, fpr, tpr)
    found = tprs(trade_off(0.8, 0.2, 2))
    assert np.all(exact <= found * (1 + 2e-5))  # the plane's own error
    np.testing.assert_allclose(found, exact, rtol=2e-3)


def test_the_ceiling_is_what_another_library_gives():
    """dp_accounting 0.6.0: `from_gaussian_mechanism` with sampling_prob, removed and added, both
    composed 4,900 times at value_discretization_interval 1e-4: the least TPR over epsilons."""
    found = tprs(trade_off(0.758, RATE, STEPS))
    np.testing.assert_allclose(found, OTHER, rtol=2e-5)


OTHER = [0.00381552, 0.0614035, 0.209217, 0.578246, 0.924454, 0.996290]


def test_an_attack_that_knows_the_loss_reaches_the_ceiling_and_does_not_exceed_it():
    """Each step's noisy sum is drawn with and without the example, and its exact loss is summed."""
    noise, rate, num_steps, runs = 0.9, 0.1, 40, 40_000
    random = np.random.default_rng(0)
    steps = one_example(noise, rate, num_steps)

    def told(member: bool) -> np.ndarray:
        drawn = random.random((runs, num_steps)) < rate if member else 0.0
        return steps.loss(noise * random.standard_normal((runs, num_steps)) + drawn).sum(1)

    out, within = np.sort(told(False)), told(True)
    ceiling = trade_off(noise, rate, num_steps)
    for fpr in (0.01, 0.1, 0.5):
        threshold = out[int(runs * (1 - fpr))]
        reached, most = float(np.mean(within > threshold)), ceiling.tpr_at(fpr)
        # of the threshold's FPR and of the TPR, by the slope of the curve there
        slope = (ceiling.tpr_at(1.01 * fpr) - ceiling.tpr_at(0.99 * fpr)) / (0.02 * fpr)
        error = math.sqrt((most * (1 - most) + slope**2 * fpr * (1 - fpr)) / runs)
        assert abs(reached - most) < 4 * error


def test_the_example_of_the_issue_allows_six_percent_where_epsilon_and_delta_allow_all():
    found = trade_off(0.758, RATE, STEPS)
    assert 0.061 < found.tpr_at(0.001) < 0.062
    assert math.exp(7.98) * 0.001 + 1e-5 > 1
    assert 1.61 < found.mu() < 1.63


def test_mu_is_the_smallest_of_a_gaussian_that_promises_no_more():
    found = trade_off(0.758, RATE, STEPS)
    fprs = np.geomspace(LEAST, 0.5, 500)
    least = np.array([found.tpr_at(fpr) for fpr in fprs])
    gaussian = norm.cdf(norm.ppf(fprs) + found.mu())
    assert np.all(least <= gaussian + 1e-12)
    assert np.any(least > norm.cdf(norm.ppf(fprs) + 0.999 * found.mu()))


def test_more_noise_fewer_steps_and_one_copy_allow_less_and_a_replaced_example_more():
    base = tprs(trade_off(1.0, 0.02, 100))
    assert np.all(tprs(trade_off(2.0, 0.02, 100)) < base)
    assert np.all(tprs(trade_off(1.0, 0.02, 50)) < base)
    assert np.all(tprs(trade_off(1.0, 0.02, 100, copies=2)) > base)
    assert np.all(tprs(trade_off(1.0, 0.02, 100, "replaced")) > base)


@pytest.mark.parametrize("noise", [1e-200, 1e-4, 0.05])
def test_hardly_any_noise_lets_everything_be_told_of_who_was_ever_drawn(noise: float):
    assert trade_off(noise, 0.5, 200).tpr_at(1e-5) == pytest.approx(1)
    drawn = 1 - 0.99**10
    assert drawn <= trade_off(noise, 0.01, 10).tpr_at(1e-9) < drawn + 1e-3 or noise == 1e-200


def test_a_polygon_is_concave_and_ends_where_all_are_accused():
    for found in (trade_off(0.758, RATE, STEPS), trade_off(5.0, 1.0, 20), trade_off(0.1, 0.5, 50)):
        assert found.fpr[0] == 0
        assert found.fpr[-1] == 1
        assert found.tpr_at(1.0) == 1
        x, y = found.fpr, found.tpr
        share = (x[1:-1] - x[:-2]) / (x[2:] - x[:-2])
        assert np.all(y[1:-1] >= y[:-2] + share * (y[2:] - y[:-2]) - 1e-12)


def test_who_is_above_all_but_k_non_members_is_held_to_one_more():
    found = trade_off(1.0, 0.02, 100)
    assert found.observed(1e-5, 500) == found.tpr_at(1 / 500)
    assert found.observed(0.1, 500) == found.tpr_at(51 / 500)
    assert found.observed(1.0, 500) == 1


def test_a_blurred_ceiling_is_the_old_one_moved_both_ways():
    found = trade_off(1.0, 0.02, 100)
    moved = found.blurred(1e-3)
    expected = np.minimum(tprs(found, FPRS + 1e-3) + 1e-3, 1)
    np.testing.assert_allclose(tprs(moved), expected, rtol=1e-12)
    assert found.blurred(0.0) is found
    assert found.blurred(1.0).tpr_at(0.0) == 1


def test_copies_are_a_mixture_of_so_many_shifts():
    """Of one step by its best test: two copies are drawn by coins of their own."""
    noise, rate = 0.7, 0.3
    at = np.linspace(-6, 8, 20_001)
    shares = ((1 - rate) ** 2, 2 * rate * (1 - rate), rate**2)
    within = sum(p * norm.sf((at - c) / noise) for c, p in enumerate(shares))
    exact = np.interp(FPRS, norm.sf(at / noise)[::-1], np.asarray(within)[::-1])
    found = tprs(trade_off(noise, rate, 1, copies=2))
    assert np.all(exact <= found + 1e-12)
    np.testing.assert_allclose(found, exact, rtol=5e-3)


def test_a_tilted_sum_and_a_plain_one_give_the_same_delta():
    steps: Steps = one_example(1.1, 0.0128, 780)
    plain, tilted = summed(steps), summed(steps, 5.0)
    epsilons = np.array([0.5, 1.0, 2.0])
    np.testing.assert_allclose(
        plain.deltas(epsilons), [tilted.delta(e) for e in epsilons.tolist()], rtol=1e-3
    )


FACTS = Facts(None, 1000, 50, 5, 1e-5)  # pyright: ignore[reportArgumentType]


def test_dp_sgd_has_a_ceiling_where_it_has_a_guarantee_and_only_there():
    found = DPSGD(noise_multiplier=1.1).trade_off(FACTS)
    assert found is not None
    assert found.tpr_at(0.1) == trade_off(1.1, 0.05, 100).tpr_at(0.1)
    assert DPSGD(noise_multiplier=0.0).trade_off(FACTS) is None
    assert DPSGD(noise_multiplier=1.1, poisson_sampling=False).trade_off(FACTS) is None
    cut = DPSGD(noise_multiplier=1.1, max_batch_size=80).trade_off(FACTS)
    assert cut is not None
    assert found.tpr_at(1e-4) < cut.tpr_at(1e-4)


def test_a_target_tpr_is_met_and_leaves_a_run_that_is_told_by_its_noise():
    given = DPSGD(target_tpr=0.01)
    settled = given.resolved(1000, 50, 5)
    noise = calibrated_to_tpr(0.01, 0.001, 0.05, 100)
    assert settled.model_dump() == DPSGD(noise_multiplier=noise).model_dump()
    assert "target_tpr" not in settled.model_dump()
    reached = settled.trade_off(FACTS)
    assert reached is not None
    assert 0.0098 < reached.tpr_at(0.001) <= 0.01
    other = DPSGD(target_tpr=0.3, at_fpr=0.1).resolved(1000, 50, 5)
    assert other.at_fpr == 0.001


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"target_tpr": 0.1, "target_epsilon": 8}, "got both target_epsilon and target_tpr"),
        ({"target_tpr": 0.1, "poisson_sampling": False}, "target_tpr needs poisson_sampling"),
        ({"target_tpr": 0.001}, "target_tpr 0.001 is not above at_fpr 0.001"),
        ({"noise_multiplier": 1.0, "at_fpr": 0.01}, "at_fpr is where target_tpr holds"),
        ({"target_tpr": 1.5}, "expected a number above 0 and below 1, got 1.5"),
    ],
)
def test_a_target_tpr_that_cannot_be_is_refused(keys, told: str):
    with pytest.raises(ValueError, match=told):
        DPSGD(**keys)


def test_a_target_tpr_pays_for_cut_batches_and_is_refused_where_they_cost_more():
    cut = DPSGD(target_tpr=0.01, max_batch_size=90).resolved(1000, 50, 5)
    reached = cut.trade_off(FACTS)
    assert reached is not None
    assert reached.tpr_at(0.001) <= 0.01
    with pytest.raises(ValueError, match="use a larger max_batch_size"):
        DPSGD(target_tpr=0.01, max_batch_size=55).resolved(1000, 50, 5)
