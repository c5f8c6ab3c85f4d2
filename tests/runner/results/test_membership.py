"""What an attack on membership found, arm by arm."""

from pathlib import Path

import numpy as np
import pytest

from attacks.epsilon import epsilon_lower_bound
from attacks.membership.lira import Lira
from attacks.membership.quantile import Quantile
from runner.audit.judge import judge
from runner.audit.judged import Judged, read_judged
from runner.plan.work import Work
from runner.results.membership import membership_figures, predictive_value
from runner.statistics import metrics
from runner.statistics.intervals import Interval, clopper_pearson
from tests.conftest import NOISY
from tests.made.gathered import gathered, noisy
from tests.made.judged import MEMBERS, OVER, RATES, REAL, M, judging


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Judged:
    """What is judged of the scores of one attack."""
    return read_judged(judge(judging(tmp_path_factory.mktemp("judged")), in_ray=False), REAL)


def units(values: list[float | None]) -> list[float]:
    """The mean of each pair of models, over those of the two that have a value."""
    pairs = [[v for v in values[m : m + 2] if v is not None] for m in range(0, len(values), 2)]
    return [sum(pair) / len(pair) for pair in pairs if pair]


def test_precision_and_recall_are_counted_at_each_threshold(tmp_path: Path):
    work = noisy(tmp_path, membership={**NOISY["membership"], "thresholds": [0.25, 0.5]})
    scores = np.random.default_rng(1).integers(0, 17, work.plan.member.shape) / 16
    found = gathered(work, member_scores={1: scores})["arms"]["noisy"]["membership"]["own"]
    assert list(found["thresholds"]) == ["0.25", "0.5"]
    for threshold, of_threshold in found["thresholds"].items():
        precision, recall = [], []
        for row, of_model in zip(work.plan.member, scores, strict=True):
            admitted = true = members = 0
            for member, score in zip(row, of_model, strict=True):
                members += member == 1
                if member >= 0 and score >= float(threshold):
                    admitted += 1
                    true += member == 1
            precision.append(true / admitted)
            recall.append(true / members)
        assert of_threshold["precision"]["mean"] == pytest.approx(np.mean(units(precision)))
        assert of_threshold["recall"]["mean"] == pytest.approx(np.mean(units(recall)))
        assert of_threshold["recall"]["num_models"] == 4


def test_precision_is_over_the_models_that_admit_anybody_and_none_where_none_does(tmp_path: Path):
    work = noisy(tmp_path, membership={**NOISY["membership"], "thresholds": [0.5, 0.75]})
    member = work.plan.member == 1
    scores = np.where(member, 0.6, 0.4)
    scores[0] = 0  # model 0 admits nobody
    scores[3] = 0.6  # model 3 admits everybody
    found = gathered(work, member_scores={1: scores})["arms"]["erm"]["membership"]["own"]
    half, most = found["thresholds"]["0.5"], found["thresholds"]["0.75"]
    assert half["precision"]["num_models"] == 3
    assert half["precision"]["mean"] == pytest.approx(np.mean(units([None, 1, 1, 0.5])))
    assert half["recall"]["mean"] == pytest.approx(np.mean(units([0, 1, 1, 1])))
    assert most["precision"] is None
    assert most["recall"]["mean"] == 0


def test_only_scores_that_are_probabilities_have_thresholds_and_a_bound_on_epsilon(tmp_path: Path):
    design = {"name": "pairs", "num_models": 6}
    attacks = {"own": {"name": "shadow_mlp"}, "online": {"name": "lira"}}
    found = gathered(noisy(tmp_path, design=design, membership={"attacks": attacks}))
    for arm in found["arms"].values():
        own, online = arm["membership"]["own"], arm["membership"]["online"]
        assert set(own) - set(online) == {"thresholds", "epsilon_lower_bound"}
        assert online["shadow_arm"] is None


@pytest.mark.parametrize("told", [True, False])
def test_the_epsilon_that_decisions_bear_out_counts_every_threshold(tmp_path: Path, told: bool):
    """50 members and 50 non-members a model; four thresholds, delta 1e-6."""
    work = noisy(tmp_path, guarantee={"delta": 1e-6})
    scores = (work.plan.member == 1) * float(told)
    found = gathered(work, member_scores={1: scores})["arms"]["erm"]["membership"]["own"]
    bound = found["epsilon_lower_bound"]
    expected = epsilon_lower_bound(50, 50, 0, 50, 1e-6, num_thresholds=4) if told else 0
    assert bound["mean"] == pytest.approx(expected)
    assert bound["delta"] == 1e-6
    assert expected < bound["largest"] < 3
    assert bound["largest"] == epsilon_lower_bound(50, 50, 0, 50, 1e-6)


def test_every_attack_has_a_null_control_and_the_first_ones_is_the_arms(tmp_path: Path):
    work = noisy(tmp_path)
    null = np.random.default_rng(3).random(work.plan.member.shape)
    results = gathered(work, null_scores=null)
    for arm in results["arms"].values():
        assert list(arm["null_controls"]) == ["own", "plain"]
        assert arm["null_control"] == arm["null_controls"]["own"]
    judged = work.plan.null_member >= 0
    own = [
        metrics.auc(scores[row], member[row] == 1)
        for scores, row, member in zip(null, judged, work.plan.null_member, strict=True)
    ]
    found = results["arms"]["noisy"]["null_controls"]["plain"]["auc"]
    assert found["mean"] == pytest.approx(np.mean(own), abs=1e-6)


def test_thresholds_of_the_other_pair_reach_what_they_reach(tmp_path: Path):
    """Members of all models score above 1; one model's others score there too."""
    work = noisy(tmp_path)
    scores = 0.5 * np.random.default_rng(4).random(work.plan.member.shape)
    scores[work.plan.member == 1] += 1
    scores[0][work.plan.member[0] == 0] = 0.9
    lira = gathered(work, member_scores={1: scores})["arms"]["erm"]["membership"]["own"]
    found = lira["at_shadow_thresholds"]["0.01"]
    assert found["tpr"]["mean"] == 1
    assert found["fpr"]["mean"] == pytest.approx(1 / 4, abs=0.01)  # of model 0 every one
    assert found["prior"] == 0.01
    assert found["ppv"]["mean"] == pytest.approx(0.01 / (0.01 + 0.99 * found["fpr"]["mean"]))
    assert lira["pooled"]["tpr_at_fpr"]["0.01"]["num_negatives"] == 4 * 50
    assert lira["pooled"]["tpr_at_fpr"]["0.01"]["tpr"] == 1


def test_an_attack_says_whose_shadows_it_has(noisy_work: Work):
    for name, arm in gathered(noisy_work)["arms"].items():
        shadows = {attack: found["shadow_arm"] for attack, found in arm["membership"].items()}
        assert shadows == {"own": name, "plain": "erm"}


def test_an_attack_that_knows_the_target_alone_has_no_shadows(found: Judged, noisy_work: Work):
    figures = membership_figures(found, Quantile(), "erm", noisy_work.settings, OVER)
    assert figures["shadow_arm"] is None


def test_the_predictive_value_is_bayes_rule_of_the_mean_rates_with_the_spread_of_its_tangent():
    random = np.random.default_rng(5)
    true, false = random.uniform(0.2, 0.4, M), random.uniform(0.01, 0.02, M)
    found = predictive_value(true, false, 10**9, 0.01, OVER)  # so many that counting is exact
    assert found is not None
    t, f = true.mean(), false.mean()
    assert found.mean == pytest.approx(0.01 * t / (0.01 * t + 0.99 * f))
    by_pair = (true.reshape(-1, 2).mean(1), false.reshape(-1, 2).mean(1))
    step = 1e-6
    slopes = [
        (0.01 * a / (0.01 * a + 0.99 * b) - 0.01 * c / (0.01 * c + 0.99 * d)) / (2 * step)
        for a, b, c, d in [(t + step, f, t - step, f), (t, f + step, t, f - step)]
    ]
    spread = slopes[0] * by_pair[0] + slopes[1] * by_pair[1]
    error = spread.std(ddof=1) / np.sqrt(M / 2)
    assert found.high - found.mean == pytest.approx(3.1824463 * error, rel=1e-5)  # t of 3


def test_a_predictive_value_without_a_false_positive_is_no_certainty():
    found = predictive_value(np.full(M, 0.2), np.zeros(M), 1000, 0.01, OVER)
    most = clopper_pearson(0, 1000)[1]
    assert isinstance(found, Interval)
    assert (found.mean, found.high) == (1, 1)
    assert found.low == pytest.approx(0.01 * 0.2 / (0.01 * 0.2 + 0.99 * most))
    assert found.low < 0.4


def test_few_false_positives_are_counted_where_models_agree_by_chance():
    """Hits and errors of one model alone move together, so the spread over models is nothing."""
    true, false = np.zeros(M), np.zeros(M)
    true[3], false[3] = 4 / 1000, 2 / 1000
    found = predictive_value(true, false, M * 1000, 0.5, OVER)
    assert found is not None
    few, most = clopper_pearson(2, M * 1000)
    t = true.mean()
    assert found[:3] == pytest.approx((4 / 6, t / (t + most), t / (t + few)))


def test_nobody_called_has_no_predictive_value():
    assert predictive_value(np.zeros(M), np.zeros(M), 1000, 0.01, OVER) is None


def test_figures_of_an_attack_are_the_means_of_what_is_judged(found: Judged, work: Work):
    figures = membership_figures(found, Lira(), "erm", work.settings, OVER)
    assert figures["auc"]["mean"] == pytest.approx(found.auc.mean())
    for f, rate in enumerate(RATES):
        one, shadow = (
            figures["tpr_at_fpr"][f"{rate:g}"],
            figures["at_shadow_thresholds"][f"{rate:g}"],
        )
        assert one["mean"] == pytest.approx(found.tpr[:, f].mean())
        assert one["num_negatives"] == (MEMBERS["member"] == 0).sum(1).min()
        assert one["at_zero_false_positives"] == (rate == 1e-5)
        reached = (found.shadow_false[:, f] / (MEMBERS["member"] == 0).sum(1)).mean()
        assert shadow["fpr"]["mean"] == pytest.approx(reached)
        pool = figures["pooled"]["tpr_at_fpr"][f"{rate:g}"]
        assert pool["tpr"] == found.pooled.tpr_at_fpr(rate)
        assert pool["num_negatives"] == (MEMBERS["member"] == 0).sum()
    assert "thresholds" not in figures


@pytest.mark.parametrize(
    ("rule", "expected"), [("step_le", False), ("step_lt", True), ("interp", False)]
)
def test_whether_a_rate_admits_no_false_positive_is_up_to_the_rule(
    found: Judged, work: Work, rule: metrics.Rule, expected: bool
):
    rate = 1 / int(found.num_out.min())
    membership = work.settings.membership.model_copy(update={"tpr_rule": rule})
    told = membership_figures(
        found._replace(rates=np.array([rate, rate / 2, 0.5, 0.1])),
        Lira(),
        "erm",
        work.settings._replace(membership=membership),
        OVER,
    )
    at, below, *above = (one["at_zero_false_positives"] for one in told["tpr_at_fpr"].values())
    assert (at, below, *above) == (expected, rule != "interp", False, False)
