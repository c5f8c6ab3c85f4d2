"""All targets in one heap, and thresholds that other pairs set."""

import numpy as np
import pytest

from runner.audit._of_target import edges
from runner.audit._pooled import Counts, pooled, shadow_thresholds, union
from runner.audit.judged import Judged
from runner.statistics import metrics
from tests.made.judged import MEMBERS, PARTNER, RATES, SCORES, M, counts_above


def test_the_pooled_curve_is_that_of_all_scores_in_one_heap(found: Judged):
    """With few non-members every one of them is an edge, so nothing is lost."""
    rows = MEMBERS["member"]
    fpr, tpr = metrics.roc(SCORES[rows >= 0], rows[rows >= 0] == 1)
    for rate in (*RATES, 0.0, 0.01, 1.0):
        assert found.pooled.tpr_at_fpr(rate) == pytest.approx(metrics.tpr_at_fpr(fpr, tpr, rate))
    assert found.pooled.num_negatives == (rows == 0).sum()
    expected = metrics.roc_on_grid(fpr, tpr, metrics.roc_grid())
    np.testing.assert_allclose(found.pooled.on_grid(), expected)


def test_fewer_edges_only_ever_lower_the_pooled_curve_and_keep_its_end():
    random = np.random.default_rng(3)
    member = np.stack([np.arange(4000) % 2] * 4).astype(np.int8)
    scores = (random.normal(size=member.shape) + 2 * member).astype(np.float32)
    fpr, tpr = metrics.roc(scores.ravel(), member.ravel() == 1)
    some = union([edges(s, row, 40) for s, row in zip(scores, member, strict=True)])
    inside, outside = (of.sum(axis=0) for of in counts_above(scores, member, some))
    curve = pooled(inside, outside, 8000, 8000)
    for rate in (0.0, 1e-4, 0.001, 0.01, 0.1):
        exact = metrics.tpr_at_fpr(fpr, tpr, rate)
        assert exact - 0.05 <= curve.tpr_at_fpr(rate) <= exact
    assert curve.tpr_at_fpr(0) == metrics.tpr_at_fpr(fpr, tpr, 0)
    assert curve.auc is None  # with so few edges it may be wrong by 0.001


def test_the_pooled_area_is_exact_where_every_non_member_is_an_edge():
    """Then every run of the curve between edges is one non-member, however members lie."""
    random = np.random.default_rng(6)
    member = np.stack([np.arange(900) % 2, 1 - np.arange(900) % 2]).astype(np.int8)
    scores = (random.normal(size=member.shape) + member).astype(np.float32)
    some = union([edges(s, row, 450) for s, row in zip(scores, member, strict=True)])
    inside, outside = (of.sum(axis=0) for of in counts_above(scores, member, some))
    exact = metrics.auc(scores.ravel(), member.ravel() == 1)
    assert pooled(inside, outside, 900, 900).auc == pytest.approx(exact, abs=1e-12)


def test_a_threshold_of_the_other_pairs_is_the_lowest_of_theirs_within_the_rate(found: Judged):
    rows = MEMBERS["member"]
    for m in range(M):
        others = [k for k in range(M) if k not in (m, PARTNER[m])]
        outside = np.concatenate([SCORES[k][rows[k] == 0] for k in others])
        for f, rate in enumerate(RATES):
            lowest = min(x for x in outside if (outside > x).mean() <= rate)
            assert found.shadow_threshold[m, f] == lowest
            assert found.shadow_true[m, f] == (SCORES[m][rows[m] == 1] > lowest).sum()
            assert found.shadow_false[m, f] == (SCORES[m][rows[m] == 0] > lowest).sum()


def test_no_score_of_a_target_or_its_partner_moves_its_threshold():
    random, num = np.random.default_rng(4), 60
    member = MEMBERS["member"][:, :num]

    def thresholds(scores: np.ndarray) -> np.ndarray:
        given = [edges(s, row, 8) for s, row in zip(scores, member, strict=True)]
        some = union(given)
        of_all = counts_above(scores, member, some)
        counts = Counts(some, *of_all, num_out=(member == 0).sum(axis=1))
        return shadow_thresholds(counts, given, PARTNER, RATES)["shadow_threshold"]

    scores = random.normal(size=member.shape)
    other = scores.copy()
    other[2:4] = random.normal(5, 3, (2, num))
    before, after = thresholds(scores), thresholds(other)
    np.testing.assert_array_equal(before[2:4], after[2:4])
    assert np.any(before[:2] != after[:2])


def test_a_single_pair_has_no_other_to_set_its_threshold():
    member = MEMBERS["member"][:2]
    given = [edges(SCORES[m], member[m], 100) for m in range(2)]
    some = union(given)
    of_all = counts_above(SCORES[:2], member, some)
    counts = Counts(some, *of_all, num_out=(member == 0).sum(axis=1))
    assert np.isnan(
        shadow_thresholds(counts, given, np.array([1, 0]), RATES)["shadow_threshold"]
    ).all()
