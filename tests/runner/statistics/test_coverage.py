"""How often intervals hold the expected figure over new models and new examples, by simulation."""

from functools import cache

import numpy as np
import pytest

from runner.statistics import metrics
from runner.statistics.intervals import bootstrap_interval, mean_interval
from runner.statistics.resampling import resampled_figures
from tests.made.simulated_arms import FIGURES, RATES, REGIMES, draw, figures

NUM_REPEATS = 1000
NUM_RESAMPLES = 48
BOUNDS = ((0.0, 1.0), (0.0, 1.0), (-1.0, 1.0))  # of two arms and of their difference


@cache
def repeats(regime: str, n: int, num_pairs: int) -> tuple[np.ndarray, np.ndarray]:
    """Figures of pairs, and resampled: of both arms and of their difference.

    (repeats, 3, P, 3 figures) and (repeats, 3, P, R, 3 figures).
    """
    point = np.empty((NUM_REPEATS, 3, num_pairs, len(FIGURES)))
    resampled = np.empty((NUM_REPEATS, 3, num_pairs, NUM_RESAMPLES, len(FIGURES)), np.float32)
    for i in range(NUM_REPEATS):
        scores, member = draw(REGIMES[regime], n, num_pairs, seed=i)
        for arm in range(2):
            found = figures(scores[arm], member, NUM_RESAMPLES)
            point[i, arm], resampled[i, arm] = ((one[::2] + one[1::2]) / 2 for one in found)
    point[:, 2], resampled[:, 2] = point[:, 1] - point[:, 0], resampled[:, 1] - resampled[:, 0]
    return point, resampled


def coverage(point: np.ndarray, num_pairs: int, resampled: np.ndarray | None = None) -> np.ndarray:
    """How often intervals hold the truth, (3, 3 figures): Student's t, the bootstrap by resamples.

    The truth is the mean over all repeats and pairs, which scatters 30 times less than a figure.
    """
    truth, held = point.mean(axis=(0, 2)), np.empty((3, len(FIGURES)))
    for what in range(3):
        for f in range(len(FIGURES)):
            values, bounds = point[:, what, :num_pairs, f], BOUNDS[what]
            if resampled is None:
                found = [mean_interval(one, bounds=bounds) for one in values]
            else:
                each = zip(values, resampled[:, what, :num_pairs, :, f], strict=True)
                found = [bootstrap_interval(*one, bounds=bounds) for one in each]
            held[what, f] = np.mean([one.low <= truth[what, f] <= one.high for one in found])
    return held


def test_simulated_figures_are_those_that_the_runner_computes():
    scores, member = draw(REGIMES["both"], 700, 2, seed=0)
    point, resampled = figures(scores[1], member, 40)
    places = np.arange(1400)
    for m in range(4):
        curve = metrics.roc(scores[1, m], member[m])
        tprs = [metrics.tpr_at_fpr(*curve, rate) for rate in RATES]
        assert point[m] == pytest.approx([metrics.auc(scores[1, m], member[m]), *tprs])
        known = resampled_figures(scores[1, m], member[m], places, RATES, "step_le", 40, 0, 1400)
        np.testing.assert_allclose(resampled[m], known, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("regime", "n", "num_pairs"),
    [
        ("nothing", 700, (4, 8, 32)),
        ("models", 700, (4, 8)),
        ("examples", 700, (4, 8)),
        ("as measured", 700, (4, 8)),
        ("both", 5000, (4,)),
    ],
)
def test_bootstrap_intervals_hold_the_truth_95_times_in_100_for_an_arm_and_for_a_difference(
    regime: str, n: int, num_pairs: tuple[int, ...]
):
    point, resampled = repeats(regime, n, max(num_pairs))
    for some in num_pairs:
        both = coverage(point, some, resampled)
        assert np.all((both >= 0.93) & (both <= 0.97)), (some, both)


@pytest.mark.slow
def test_an_interval_over_models_alone_misses_what_examples_do_to_all_of_them():
    point, _ = repeats("examples", 700, 8)
    models = coverage(point, 8)
    assert np.all(models[:2] < 0.9)
