"""Bounds whose threshold is chosen: by half of the trials, by Bonferroni, and by the wrong way."""

import math

import numpy as np
import pytest
from scipy.stats import beta, norm

from attacks.epsilon import epsilon_lower_bound, split_sample_bound
from tests.attacks.oracles import bonferroni_bound

EPSILON = 3.0
NUM = 2000
GRID = np.linspace(0.05, 0.95, 10)
# Of so many errors among NUM trials, Clopper and Pearson's upper ends at 97.5 %.
UPPER = np.append(beta.ppf(0.975, np.arange(1, NUM + 1), np.arange(NUM, 0, -1)), 1.0)


def responses(random: np.random.Generator, num: int = NUM) -> tuple[np.ndarray, np.ndarray]:
    """Scores of randomized response with a size that says nothing.

    Every threshold in [0, 1) has the true ratio of its rates at e^EPSILON, so the largest of many
    bounds is the one that chance favours most.
    """
    keep = math.exp(EPSILON) / (1 + math.exp(EPSILON))
    signs = (np.where(random.random(num) < right, 1, -1) for right in (keep, 1 - keep))
    scores_in, scores_out = (sign * random.random(num) for sign in signs)
    return scores_in, scores_out


def largest_of_all_thresholds(scores_in: np.ndarray, scores_out: np.ndarray) -> float:
    """What many codes call a lower bound: nothing is paid for choosing."""
    thresholds = np.sort(np.concatenate([scores_in, scores_out]))
    hits, alarms = (NUM - np.searchsorted(np.sort(s), thresholds) for s in (scores_in, scores_out))
    fnr, fpr = UPPER[NUM - hits], UPPER[alarms]
    return math.log(max(1, ((1 - fnr) / fpr).max(), ((1 - fpr) / fnr).max()))


@pytest.mark.slow
def test_both_bounds_keep_their_promise_and_the_largest_of_all_thresholds_does_not():
    random, repeats = np.random.default_rng(0), 1000
    bounds = np.array(
        [
            (
                split_sample_bound(*scores, 0.0, seed=repeat),
                bonferroni_bound(*scores, GRID, 0.0),
                largest_of_all_thresholds(*scores),
            )
            for repeat in range(repeats)
            for scores in (responses(random),)
        ]
    )
    split, corrected, uncorrected = (bounds > EPSILON).mean(0)
    allowed = 0.05 + 3 * math.sqrt(0.05 * 0.95 / repeats)
    assert split <= allowed
    assert corrected <= allowed
    assert uncorrected > 2 * allowed
    assert (np.median(bounds, axis=0) > EPSILON / 3).all()  # and none is trivially low


def test_split_sample_is_the_bound_of_the_other_half_at_the_first_halfs_threshold():
    """With scores that separate, any threshold in the gap counts no error of the other half."""
    scores_in, scores_out = 5 + np.random.default_rng(0).random(101), np.random.random(60)
    bound = split_sample_bound(scores_in, scores_out, 1e-3)
    assert bound == pytest.approx(epsilon_lower_bound(51, 51, 0, 30, 1e-3))


def test_split_sample_chooses_among_several_scores_too():
    random = np.random.default_rng(0)
    told = np.stack([random.random(80), np.full(80, 2.0), random.random(80)], 1)
    silent = random.random((80, 3))
    assert split_sample_bound(told, silent, 0.0) == split_sample_bound(
        np.full(80, 2.0), silent[:, 0], 0.0
    )


def test_the_halves_follow_from_the_seed_and_no_order_of_trials_helps():
    scores = responses(np.random.default_rng(3))
    bounds = [split_sample_bound(*scores, 0.0, seed=seed) for seed in (0, 0, 1, 2)]
    assert bounds[0] == bounds[1]
    assert len(set(bounds)) > 1


def test_many_trials_of_the_gaussian_mechanism_give_its_epsilon_at_delta():
    """delta(epsilon) of Balle and Wang (2018), met where the likelihood ratio is e^epsilon."""
    mu, epsilon, number = 1.0, 1.2, 10**13
    delta = norm.cdf(mu / 2 - epsilon / mu) - math.exp(epsilon) * norm.cdf(-mu / 2 - epsilon / mu)
    threshold = epsilon / mu + mu / 2
    hits, alarms = (round(number * float(norm.sf(threshold - mean))) for mean in (mu, 0))
    bound = epsilon_lower_bound(hits, number, alarms, number, float(delta))
    assert bound == pytest.approx(epsilon, abs=1e-4)
    random = np.random.default_rng(0)
    scores = mu + random.normal(size=40_000), random.normal(size=40_000)
    assert epsilon - 0.2 < split_sample_bound(*scores, float(delta)) < epsilon
    assert epsilon - 0.2 < bonferroni_bound(*scores, np.arange(-2, 4, 0.1), float(delta)) < epsilon


def test_bonferroni_with_one_threshold_is_the_bound_at_it_and_more_share_the_error():
    scores_in, scores_out = responses(np.random.default_rng(1))
    hits, alarms = int((scores_in >= 0.1).sum()), int((scores_out >= 0.1).sum())
    one = bonferroni_bound(scores_in, scores_out, [0.1], 1e-4)
    assert one == epsilon_lower_bound(hits, NUM, alarms, NUM, 1e-4)
    useless = bonferroni_bound(scores_in, scores_out, [0.1, 9.0, -9.0], 1e-4)
    assert useless == epsilon_lower_bound(hits, NUM, alarms, NUM, 1e-4, num_thresholds=3)


def test_scores_that_no_bound_can_be_had_for_are_refused():
    fine = np.arange(4.0)
    with pytest.raises(ValueError, match="got 4 and 1; run more trials"):
        split_sample_bound(fine, fine[:1], 0.0)
    with pytest.raises(ValueError, match="got 1 NaN"):
        split_sample_bound(np.array([0, np.nan, 1]), fine, 0.0)
    with pytest.raises(ValueError, match="1 threshold or more"):
        epsilon_lower_bound(4, 4, 0, 4, 0.0, num_thresholds=0)
    with pytest.raises(ValueError, match="confidence"):
        split_sample_bound(fine, fine, 0.0, confidence=95)
