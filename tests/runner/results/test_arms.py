"""One arm's figures, from made-up facts and scores of stages that did not run."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attacks.epsilon import epsilon_lower_bound
from runner.experiment.experiment import Experiment
from runner.models import image_shape
from runner.plan.work import Work, prepare
from runner.statistics import metrics
from runner.statistics.intervals import mean_interval
from tests.conftest import NOISY
from tests.made.gathered import gathered

EOT = {"name": "pgd", "eps": 0.1, "step_size": 0.05, "num_steps": 2, "draws": 4}


def noisy(tmp_path: Path, **changes: Any) -> Work:
    return prepare(Experiment.model_validate({**NOISY, **changes}), tmp_path / "storage")


def units(values: list[float | None]) -> list[float]:
    """The mean of each pair of models, over those of the two that have a value."""
    pairs = [[v for v in values[m : m + 2] if v is not None] for m in range(0, len(values), 2)]
    return [sum(pair) / len(pair) for pair in pairs if pair]


def test_the_generalization_gap_is_taken_model_by_model(noisy_work: Work):
    arms = gathered(noisy_work)["arms"]
    gaps = np.array([0.9 - m / 100 - 0.5 for m in range(4)])
    expected = mean_interval(gaps, noisy_work.plan.partner, (-1, 1))._asdict()
    for found in (arms["erm"], arms["noisy"], arms["noisy"]["averaged"]):
        assert found["generalization_gap"] == pytest.approx(expected)


def test_a_randomized_arm_has_the_same_figures_for_one_draw_and_for_the_mean(noisy_work: Work):
    members = (noisy_work.plan.member == 1).astype(float)
    arms = gathered(noisy_work, member_scores={1: 1 - members, 3: members})["arms"]
    assert arms["erm"]["averaged"] is None
    once, mean = arms["noisy"], arms["noisy"]["averaged"]
    assert (once["draws"], mean["draws"]) == (1, 3)
    assert (once["randomized"], arms["erm"]["randomized"]) == (True, False)
    for key in ("natural_accuracy", "train_accuracy"):
        assert mean[key]["mean"] == pytest.approx(once[key]["mean"] + 0.05)
    assert mean["robust_accuracy"]["pgd2"]["mean"] == pytest.approx(0.55)
    for attack in ("own", "plain"):
        assert once["membership"][attack]["auc"]["mean"] == 0
        assert mean["membership"][attack]["auc"]["mean"] == 1


def test_robust_accuracy_is_overstated_where_an_attack_takes_one_draw_of_a_randomized_model(
    tmp_path: Path,
):
    once = NOISY["robustness"]["attacks"]["pgd2"]
    work = noisy(tmp_path, robustness={"attacks": {"once": once, "eot": EOT}})
    results = gathered(work)
    assert results["arms"]["erm"]["overstated"] == []
    assert results["arms"]["noisy"]["overstated"] == ["once"]
    (warning,) = (text for text in results["warnings"] if "overstated" in text)
    assert "(noisy: once)" in warning
    assert "give the attack `draws`" in warning


def test_nothing_is_overstated_where_every_attack_averages_over_draws(tmp_path: Path):
    results = gathered(noisy(tmp_path, robustness={"attacks": {"eot": EOT}}))
    assert all(arm["overstated"] == [] for arm in results["arms"].values())
    assert not any("overstated" in text for text in results["warnings"])


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


def test_a_guarantee_is_stated_at_the_experiments_delta_and_under_its_bounds(tmp_path: Path):
    stated = {"delta": 1e-6, "G": 0.5, "R": 2.0}
    work = noisy(tmp_path, guarantee=stated)
    arms = gathered(work)["arms"]
    assert arms["erm"]["guarantee"] is None
    run, arm = work.plan.arms["noisy"][0], work.experiment.arms["noisy"]
    network = arm.network(image_shape(work.dataset))
    direct = arm.defense.guarantee(run.facts(network, 1, assumed={"G": 0.5, "R": 2.0}))
    assert direct is not None
    assert arms["noisy"]["guarantee"] == direct._asdict()
    assert (direct.status, direct.delta) == ("claimed", 1e-6)
    assert direct.epsilon is not None
    without = gathered(noisy(tmp_path / "without"))["arms"]["noisy"]["guarantee"]
    assert (without["status"], without["epsilon"]) == ("none", None)


def test_remarks_and_dials_are_those_of_the_defense(noisy_work: Work):
    arms = gathered(noisy_work)["arms"]
    assert (arms["erm"]["remarks"], arms["erm"]["dials"]) == ([], {})
    (remark,) = arms["noisy"]["remarks"]
    assert remark.startswith("The input noise pi is added after normalisation")
    expected = {"gamma": 0.5, "eta": 0, "last_layer_noise": 0, "members": 1}
    assert arms["noisy"]["dials"] == expected


def test_results_say_what_figures_are_drawn_against_and_how_members_were_drawn(tmp_path: Path):
    report = {"against": "gamma", "by": None, "baseline": "erm"}
    results = gathered(noisy(tmp_path, report=report))
    assert results["report"] == report
    assert results["design"] == {"name": "quarters", "num_models": 4}
    assert results["data"]["num_members"] == results["data"]["num_negatives"] == 50
