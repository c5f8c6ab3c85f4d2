import numpy as np
import pytest
from scipy import stats
from scipy.special import logit, stdtrit
from scipy.stats import binom, binomtest

from runner.statistics.intervals import (
    Interval,
    bootstrap_interval,
    clopper_pearson,
    mean_interval,
    normal_interval,
)

ANY = (-np.inf, np.inf)


def made(seed: int, num_models: int, num_resamples: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """A figure per model, and resamples of it that move all models alike and each by itself."""
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=num_resamples) * 0.02
    own = rng.normal(size=(num_models, num_resamples)) * 0.01
    return rng.normal(0.5, 0.01, num_models), 0.5 + shared + own


def test_the_interval_of_independent_models_is_students():
    got = mean_interval(np.array([0.4, 0.5, 0.6]))
    reach = 4.302652729911275 * 0.1 / np.sqrt(3)  # t quantile of 2 degrees of freedom, from tables
    assert got == pytest.approx((0.5, 0.5 - reach, 0.5 + reach, 3))


def test_pairs_are_averaged_first_and_counted_once():
    paired = mean_interval(np.array([0.1, 0.3, 0.5, 0.7]), partner=np.array([2, 3, 0, 1]))
    assert paired == mean_interval(np.array([0.3, 0.5]))._replace(num_models=4)


@pytest.mark.parametrize("alone", [2, -1])
def test_a_model_without_a_partner_is_its_own_unit(alone):
    got = mean_interval(np.array([0.1, 0.3, 0.5]), partner=np.array([1, 0, alone]))
    assert got == mean_interval(np.array([0.2, 0.5]))._replace(num_models=3)


def test_a_single_unit_says_nothing_of_the_spread():
    assert mean_interval(np.array([0.3])) == Interval(0.3, 0.0, 1.0, 1)
    pair = mean_interval(np.array([2.0, 4.0]), np.array([1, 0]), bounds=(0, np.inf))
    assert pair == Interval(3.0, 0, np.inf, 2)


def test_the_interval_stays_within_its_bounds():
    got = mean_interval(np.array([0.0, 0.9, 1.0]))
    assert (got.low, got.high) == (0.0, 1.0)


def test_values_that_have_no_mean_are_refused():
    with pytest.raises(ValueError, match="got none"):
        mean_interval(np.array([]))
    with pytest.raises(ValueError, match="1 of 2 values are not finite"):
        mean_interval(np.array([0.5, np.nan]))
    for partner in ([1, 2, 0], [7, 1, 2]):
        with pytest.raises(ValueError, match="name each other"):
            mean_interval(np.zeros(3), np.array(partner))


def coverage(correlation: float, use_pairs: bool) -> float:
    """How often the interval of 8 pairs holds the true mean 0.5, in 2000 repeats."""
    rng = np.random.default_rng(0)
    covariance = 0.01 * np.array([[1, correlation], [correlation, 1]])
    draws = rng.multivariate_normal([0.5, 0.5], covariance, size=(2000, 8))
    partner = np.arange(16) ^ 1 if use_pairs else None
    held = [mean_interval(values.ravel(), partner) for values in draws]
    return float(np.mean([i.low <= 0.5 <= i.high for i in held]))


@pytest.mark.parametrize("correlation", [-0.8, 0.0, 0.8])
def test_the_interval_of_pairs_holds_the_mean_95_times_in_100(correlation):
    assert 0.93 <= coverage(correlation, use_pairs=True) <= 0.97


def test_ignoring_the_pairs_misses_the_mean_too_often_when_they_agree():
    assert coverage(0.8, use_pairs=False) < 0.9


def test_the_bootstraps_variance_is_that_of_pairs_and_what_they_share_of_the_examples():
    point, replicates = made(0, 5)
    covariance = np.cov(replicates)
    shared = covariance[~np.eye(5, dtype=bool)].mean()
    got = bootstrap_interval(point, replicates, bounds=ANY)
    own = point.var(ddof=1) / 5
    freedom = (own + shared) ** 2 / (own**2 / 4 + shared**2 / 39)
    separate = (own * stdtrit(4, 0.975) + shared * stdtrit(39, 0.975)) / (own + shared)
    reach = (stdtrit(freedom, 0.975) + separate) / 2 * np.sqrt(own + shared)
    expected = (point.mean(), point.mean() - reach, point.mean() + reach, 5)
    assert got == pytest.approx(expected)
    mean = mean_interval(point)
    assert got.low < mean.low
    assert got.high > mean.high


def test_pairs_that_share_nothing_of_the_examples_have_students_interval():
    point, _ = made(1, 4)
    expected = mean_interval(point, bounds=ANY)
    same = bootstrap_interval(point, np.full((4, 30), 0.5), bounds=ANY)
    assert same == pytest.approx(expected)
    opposite = np.random.default_rng(0).normal(size=30) * np.array([[1], [-1], [1], [-1]])
    assert bootstrap_interval(point, opposite, bounds=ANY) == pytest.approx(expected)


def test_the_bootstrap_averages_pairs_first():
    (point, replicates), partner = made(2, 6), np.array([1, 0, 3, 2, 5, 4])
    pairs = point.reshape(3, 2).mean(1), replicates.reshape(3, 2, -1).mean(1)
    expected = bootstrap_interval(*pairs)._replace(num_models=6)
    assert bootstrap_interval(point, replicates, partner) == pytest.approx(expected)


def test_a_single_pair_scatters_by_its_examples_alone():
    (point, replicates), partner = made(3, 2), np.array([1, 0])
    reach = stdtrit(39, 0.975) * replicates.mean(0).std(ddof=1)
    expected = (point.mean(), point.mean() - reach, point.mean() + reach, 2)
    assert bootstrap_interval(point, replicates, partner, ANY) == pytest.approx(expected)


def test_the_bootstrap_stays_within_its_bounds_and_has_no_width_where_nothing_scatters():
    point, replicates = made(4, 4)
    got = bootstrap_interval(point - 0.49, 5 * replicates)
    assert 0 < got.low < got.mean < got.high < 1
    at_the_end = bootstrap_interval(np.zeros(4), replicates)
    assert at_the_end.low == 0 < at_the_end.high < 1
    zeros = bootstrap_interval(np.zeros(4), np.zeros((4, 20)))
    assert zeros == Interval(0.0, 0.0, 0.0, 4)


def test_the_bootstrap_is_symmetric_in_log_odds_between_bounds():
    point, replicates = made(6, 4)
    plain = bootstrap_interval(point, replicates, bounds=ANY)
    for low, high in ((0.0, 1.0), (-1.0, 1.0), (0.48, 0.6)):
        got = bootstrap_interval(point, replicates, bounds=(low, high))
        odds = logit((np.array(got[:3]) - low) / (high - low))
        assert odds[0] - odds[1] == pytest.approx(odds[2] - odds[0])
        share = (got.mean - low) / (high - low)
        slope = (high - low) * share * (1 - share)  # of the value in its log-odds
        assert (odds[2] - odds[0]) * slope == pytest.approx(plain.high - plain.mean)


def test_resamples_that_are_too_few_or_not_finite_are_refused():
    point, replicates = made(5, 4)
    with pytest.raises(ValueError, match="two or more"):
        bootstrap_interval(point, replicates[:, :1])
    with pytest.raises(ValueError, match="4 of 160 values are not finite"):
        bootstrap_interval(point, np.where(np.arange(40) == 3, np.nan, replicates))


def test_the_exact_interval_of_a_share_is_that_of_scipy():
    successes, trials = np.array([0, 1, 7, 50, 99, 100]), 100
    low, high = clopper_pearson(successes, trials)
    for k, ends in zip(successes, zip(low, high, strict=True), strict=True):
        known = binomtest(int(k), trials).proportion_ci(0.95, "exact")
        assert ends == pytest.approx((known.low, known.high), abs=1e-12)
    assert (low[0], high[-1]) == (0, 1)


@pytest.mark.parametrize("truth", [0.001, 0.02, 0.3, 0.5])
@pytest.mark.parametrize("trials", [30, 700])
def test_the_exact_interval_holds_every_share_95_times_in_100_or_more(truth: float, trials: int):
    low, high = clopper_pearson(np.arange(trials + 1), trials)
    held = (low <= truth) & (truth <= high)
    assert binom.pmf(np.arange(trials + 1)[held], trials, truth).sum() >= 0.95


@pytest.mark.parametrize(("successes", "trials"), [(3, 2), (-1, 5), (0, 0)])
def test_shares_that_cannot_be_are_refused(successes: int, trials: int):
    with pytest.raises(ValueError, match="successes, got"):
        clopper_pearson(successes, trials)


def test_the_normal_interval_holds_the_mean_of_normal_values_95_times_in_100():
    values = np.random.default_rng(1).normal(0.5, 0.05, (4000, 200))
    found = [normal_interval(row) for row in values]
    held = np.mean([one.low <= 0.5 <= one.high for one in found])
    assert held == pytest.approx(0.95, abs=0.012)  # 3.5 standard errors of 4,000 tries
    assert normal_interval(np.array([0.3])) == (0.3, 0.0, 1.0, 1)


@pytest.mark.parametrize("error", [0.05, 0.01, 0.05 / 66])
def test_an_interval_of_another_error_is_that_of_the_oracle(error: float):
    values = np.random.default_rng(0).normal(0.5, 0.02, 12)
    sure, scale = 1 - error, values.std(ddof=1) / np.sqrt(12)
    found = mean_interval(values, error=error)
    assert found[1:3] == pytest.approx(stats.t.interval(sure, 11, values.mean(), scale))
    normal, reach = normal_interval(values, error=error), stats.norm.ppf(1 - error / 2) * scale
    assert normal.high - normal.mean == pytest.approx(1.96 / stats.norm.ppf(0.975) * reach)
    replicates = values[:, None] + np.random.default_rng(1).normal(0, 0.01, (12, 400))
    wide = bootstrap_interval(values, replicates, bounds=(-np.inf, np.inf), error=error)
    usual = bootstrap_interval(values, replicates, bounds=(-np.inf, np.inf))
    assert wide.mean == usual.mean
    assert (wide.high - wide.low) / (usual.high - usual.low) == pytest.approx(
        stats.t.ppf(1 - error / 2, 11) / stats.t.ppf(0.975, 11), rel=0.02
    )
