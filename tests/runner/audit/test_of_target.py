"""What is found of one target, against its whole curve."""

import numpy as np
import pytest

from runner.audit._of_target import Arrays, edges, figures
from runner.audit.judged import Judged
from runner.statistics import metrics
from runner.statistics.resampling import resampled_figures
from tests.made.judged import ASKED, MEMBERS, RATES, SCORES, M, N, own


@pytest.mark.parametrize("rule", ["step_le", "step_lt", "interp"])
def test_a_targets_figures_are_those_of_its_whole_curve(rule: metrics.Rule):
    for m, row in enumerate(MEMBERS["member"]):
        (found,) = figures(SCORES[[m]], row[None], ASKED._replace(rule=rule, num_resamples=0))
        scores, member = own(m)
        fpr, tpr = metrics.roc(scores, member)
        assert found["auc"] == metrics.auc(scores, member)
        expected = metrics.roc_on_grid(fpr, tpr, metrics.roc_grid())
        np.testing.assert_array_equal(found["roc"], expected)
        for f, rate in enumerate(RATES):
            assert found["tpr"][f] == metrics.tpr_at_fpr(fpr, tpr, rate, rule)


def alone(scores: np.ndarray, row: np.ndarray, rates: tuple[float, ...]) -> Arrays:
    """The figures of one target at some rates, without resamples."""
    (found,) = figures(scores[None], row[None], ASKED._replace(rates=rates, num_resamples=0))
    return found


def test_a_threshold_calls_exactly_those_whom_its_rate_admits_and_infinity_nobody():
    row = np.array([1, 1, 0, 0, 1, 0], np.int8)
    scores = np.array([5, 3, 4, 2, 1, 2], np.float32)
    found = alone(scores, row, (0.3, 0.4, 1))
    assert found["threshold"].tolist() == [5, 3, 1]
    assert found["false_positives"].tolist() == [0, 1, 3]
    best_is_no_member = alone(-scores, row, (0.3,))
    assert best_is_no_member["threshold"].tolist() == [-1]
    nobody = np.array([1, 0, 0, 0, 1, 0], np.int8)
    found = alone(-np.abs(scores - 4), nobody, (0.2,))
    assert found["threshold"].tolist() == [np.inf]
    assert found["false_positives"].tolist() == [0]


def test_every_target_is_resampled_by_the_same_draws_of_its_own_examples(found: Judged):
    for m in (0, 5):
        scores, member = own(m)
        places = np.flatnonzero(MEMBERS["member"][m] >= 0)
        expected = resampled_figures(scores, member, places, RATES, "step_le", 24, 7, N)
        np.testing.assert_array_equal(found.resampled[m], expected)


def test_decisions_are_counted_at_or_above_each_threshold(found: Judged):
    for t, threshold in enumerate(ASKED.thresholds):
        for m in range(M):
            scores, member = own(m)
            called = scores >= threshold
            counts = found.called_in[m, t], found.called_out[m, t]
            assert counts == ((called & member).sum(), (called & ~member).sum())


def test_edges_are_all_non_members_where_there_are_few_and_log_spaced_from_the_highest_on():
    scores = np.arange(1000, dtype=np.float32)
    row = (np.arange(1000) % 2).astype(np.int8)
    assert edges(scores, row, 500).tolist() == list(range(998, -1, -2))
    few = edges(scores, row, 12)
    assert (few[0], few[1], few[-1]) == (998, 996, 0)
    assert len(few) <= 12
    ranks = 500 - few / 2
    assert np.all(np.diff(ranks)[1:] >= np.diff(ranks)[:-1])
