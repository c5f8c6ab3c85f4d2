import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, roc_curve

from runner.statistics import metrics
from runner.statistics.metrics import (
    auc,
    roc,
    roc_grid,
    roc_on_grid,
    smallest_fpr,
    threshold_at_fpr,
    tpr_at_fpr,
)


def scored(seed: int, num_examples: int = 300, digits: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Scores with many ties, members shifted up."""
    rng = np.random.default_rng(seed)
    member = rng.random(num_examples) < 0.4
    return (rng.normal(size=num_examples) + member).round(digits), member


def test_a_curve_by_hand_admits_ties_together():
    fpr, tpr = roc(np.array([3.0, 2.0, 2.0, 1.0]), np.array([True, False, True, False]))
    assert fpr.tolist() == [0, 0, 0.5, 1]
    assert tpr.tolist() == [0, 0.5, 1, 1]


@pytest.mark.parametrize("seed", range(5))
def test_the_curve_is_that_of_scikit_learn(seed):
    scores, member = scored(seed)
    fpr, tpr = roc(scores, member)
    known_fpr, known_tpr, _ = roc_curve(member, scores, drop_intermediate=False)
    np.testing.assert_allclose(fpr, known_fpr, atol=1e-15)
    np.testing.assert_allclose(tpr, known_tpr, atol=1e-15)


def test_the_curve_does_not_depend_on_the_order_of_the_examples():
    scores, member = scored(0)
    shuffle = np.random.default_rng(1).permutation(len(scores))
    for one, other in zip(roc(scores, member), roc(scores[shuffle], member[shuffle]), strict=True):
        assert np.array_equal(one, other)


def test_infinite_scores_tie_with_each_other():
    scores = np.array([np.inf, np.inf, 0.0, -np.inf])
    fpr, tpr = roc(scores, np.array([True, False, True, False]))
    assert fpr.tolist() == [0, 0.5, 0.5, 1]
    assert tpr.tolist() == [0, 0.5, 1, 1]


@pytest.mark.parametrize("at", [0.0, 1e-3, 0.01, 0.1, 0.5, 1.0])
def test_step_rules_are_the_best_threshold_that_qualifies(at):
    scores, member = scored(2)
    fpr, tpr = roc(scores, member)
    above = scores[None] >= np.append(np.unique(scores), np.inf)[:, None]
    slow_fpr, slow_tpr = above[:, ~member].mean(1), above[:, member].mean(1)
    assert tpr_at_fpr(fpr, tpr, at) == pytest.approx(slow_tpr[slow_fpr <= at].max())
    if at > 0:
        assert tpr_at_fpr(fpr, tpr, at, "step_lt") == pytest.approx(slow_tpr[slow_fpr < at].max())


def test_the_step_rules_differ_exactly_where_a_threshold_lies_on_the_asked_rate():
    fpr, tpr = np.array([0, 0.001, 1.0]), np.array([0.1, 0.4, 1.0])
    assert tpr_at_fpr(fpr, tpr, 0.001, "step_le") == 0.4
    assert tpr_at_fpr(fpr, tpr, 0.001, "step_lt") == 0.1
    assert tpr_at_fpr(fpr, tpr, 0.002, "step_le") == tpr_at_fpr(fpr, tpr, 0.002, "step_lt")


@pytest.mark.parametrize("digits", [1, 2, 12])
@pytest.mark.parametrize("gap", [-1, 0, 0.3, 3])
def test_a_hull_has_the_same_corners_where_dents_are_left_out_at_once(
    gap: float, digits: int, monkeypatch: pytest.MonkeyPatch
):
    rng = np.random.default_rng(0)
    member = rng.random(3000) < 0.4
    curve = roc((rng.normal(size=3000) + gap * member).round(digits), member)
    found = []
    for few in (3, 10**9):  # the second one looks at every point in turn
        monkeypatch.setattr(metrics, "FEW", few)
        found.append(metrics.hull(*curve))
    np.testing.assert_array_equal(*found)


def test_interp_is_linear_between_corners_of_the_concave_hull():
    fpr = np.array([0.0, 0.0, 0.2, 0.2, 0.4, 0.4, 1.0])
    tpr = np.array([0.0, 0.2, 0.2, 0.3, 0.3, 0.8, 1.0])  # (0.2, 0.3) lies under (0, .2)-(.4, .8)
    assert tpr_at_fpr(fpr, tpr, 0.0, "interp") == pytest.approx(0.2)
    assert tpr_at_fpr(fpr, tpr, 0.2, "interp") == pytest.approx(0.5)
    assert tpr_at_fpr(fpr, tpr, 0.7, "interp") == pytest.approx(0.9)


@pytest.mark.parametrize("at", [0.003, 0.05, 0.37])
def test_interp_is_the_best_mixture_of_two_thresholds(at):
    fpr, tpr = roc(*scored(3))
    best = 0.0
    for i in range(len(fpr)):
        for j in range(i, len(fpr)):
            if fpr[i] <= at <= fpr[j]:
                weight = (at - fpr[i]) / (fpr[j] - fpr[i]) if fpr[j] > fpr[i] else 1.0
                best = max(best, (1 - weight) * tpr[i] + weight * tpr[j])
    assert tpr_at_fpr(fpr, tpr, at, "interp") == pytest.approx(best, abs=1e-12)


@pytest.mark.parametrize("at", [-0.1, 1.1, float("nan")])
def test_a_rate_outside_zero_and_one_is_refused(at):
    with pytest.raises(ValueError, match="false-positive rate in"):
        tpr_at_fpr(np.array([0, 1.0]), np.array([0, 1.0]), at)


def test_no_threshold_is_strictly_below_zero():
    with pytest.raises(ValueError, match="step_le"):
        tpr_at_fpr(np.array([0, 1.0]), np.array([0, 1.0]), 0.0, "step_lt")


@pytest.mark.parametrize("digits", [0, 1, 12])
def test_auc_is_that_of_scikit_learn(digits):
    scores, member = scored(4, digits=digits)
    assert auc(scores, member) == pytest.approx(roc_auc_score(member, scores), abs=1e-14)


def test_auc_is_the_area_under_the_curve():
    scores, member = scored(5)
    fpr, tpr = roc(scores, member)
    assert auc(scores, member) == pytest.approx(np.trapezoid(tpr, fpr), abs=1e-14)


def test_turning_the_scores_round_mirrors_the_auc():
    scores, member = scored(6)
    assert auc(scores, member) + auc(-scores, member) == pytest.approx(1)
    assert auc(np.zeros(4), np.array([True, False, True, False])) == 0.5


@pytest.mark.parametrize("metric", [auc, roc])
def test_scores_without_a_curve_are_refused(metric):
    with pytest.raises(ValueError, match="2 of 3 scores are NaN"):
        metric(np.array([np.nan, 1.0, np.nan]), np.array([True, False, True]))
    with pytest.raises(ValueError, match="members and non-members, got 3 of 3"):
        metric(np.zeros(3), np.ones(3, dtype=bool))
    with pytest.raises(ValueError, match=r"\(3,\), \(2,\)"):
        metric(np.zeros(3), np.ones(2, dtype=bool))


def test_one_false_positive_is_the_smallest_rate():
    assert smallest_fpr(700) == 1 / 700
    with pytest.raises(ValueError, match="got 0"):
        smallest_fpr(0)


def test_the_grid_is_even_in_the_logarithm_and_holds_the_rates_users_write():
    grid = roc_grid()
    assert {1e-5, 1e-4, 0.001, 0.01, 0.1, 1.0} <= set(grid.tolist())
    np.testing.assert_allclose(np.diff(np.log10(grid)), 5 / 200, rtol=1e-3)


def test_a_curve_on_the_grid_is_step_le_at_each_of_its_rates():
    fpr, tpr = roc(*scored(7))
    grid = roc_grid()
    slow = [tpr_at_fpr(fpr, tpr, float(at)) for at in grid]
    assert roc_on_grid(fpr, tpr, grid).tolist() == slow


@pytest.mark.parametrize("rate", [0, 0.001, 0.05, 0.1, 1 / 3, 0.7, 0.99])
@pytest.mark.parametrize("ties", [False, True])
def test_the_threshold_finds_what_step_le_finds(rate: float, ties: bool):
    random = np.random.default_rng(8)
    for num in (30, 300):
        member = random.integers(0, 2, num) == 1
        scores = random.normal(size=num) + member
        scores = np.round(scores, 1) if ties else scores
        scores[:2], member[:2] = (np.inf, -np.inf), (True, False)
        found = scores > threshold_at_fpr(scores[~member], rate)
        assert found[~member].mean() <= rate
        expected = tpr_at_fpr(*roc(scores, member), rate)
        assert found[member].mean() == pytest.approx(expected)


def test_a_threshold_without_non_members_is_refused():
    with pytest.raises(ValueError, match="one non-member or more"):
        threshold_at_fpr(np.array([]), 0.1)
