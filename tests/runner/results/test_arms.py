"""One arm's figures, from made-up facts and scores of stages that did not run."""

from pathlib import Path

import numpy as np
import pytest

from runner.models import image_shape
from runner.plan.work import Work
from runner.results._arms import training_warnings
from runner.statistics.intervals import mean_interval
from runner.storage import store
from tests.conftest import NOISY
from tests.made.gathered import gathered, noisy

EOT = {"name": "pgd", "eps": 0.1, "step_size": 0.05, "num_steps": 2, "draws": 4}


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


def test_what_a_defense_saw_go_wrong_is_told_by_arm_with_how_many_models(work: Work):
    for name, runs in work.plan.arms.items():
        for m, run in enumerate(runs):
            wrong = {"warning": f"broke in epoch {m}"} if name == "pgd_at" and m in (2, 4) else {}
            store.write(work.store.run(run.id) / "x", b"")
            store.finish(work.store.run(run.id), ["x"], {"train_time_s": 1.0, **wrong})
    assert training_warnings(work) == ["pgd_at: 2 of 6 models, such as: broke in epoch 2"]
