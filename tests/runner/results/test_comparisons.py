from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runner.audit.judged import write_judged
from runner.experiment.experiment import Experiment
from runner.plan.work import prepare
from runner.results.comparisons import compare, pairs_of_arms
from runner.statistics.intervals import bootstrap_interval, mean_interval
from runner.statistics.strongest import strongest
from runner.storage import store
from runner.storage.scores import Reading
from tests.conftest import NOISY, TINY

TRADES = {"name": "trades", "attack": {"num_steps": 1}}
DEMEM = {"name": "demem", "base": TRADES}
RATES = (0.1, 0.001)
ALONE = {"lira_online": {"name": "lira"}}


def experiment_of(arms: Mapping[str, Any], **changes: Any) -> Experiment:
    return Experiment.model_validate({**TINY, "arms": arms, **changes})


def of_defenses(**defenses: Any) -> Experiment:
    return experiment_of({name: {"defense": defense} for name, defense in defenses.items()})


def test_a_wrapper_is_compared_with_its_base_and_any_other_arm_with_the_first():
    found = pairs_of_arms(
        of_defenses(erm="erm", t=TRADES, demem=DEMEM, dp={"name": "awp", "base": DEMEM})
    )
    assert found == [("t", "erm"), ("demem", "t"), ("dp", "demem")]


def test_a_wrapper_whose_base_is_trained_otherwise_is_compared_with_the_first_arm():
    arms = {"erm": {"defense": "erm"}, "t": {"defense": TRADES, "training": {"lr": 0.01}}}
    arms["demem"] = {"defense": DEMEM}
    assert pairs_of_arms(experiment_of(arms)) == [("t", "erm"), ("demem", "erm")]


def test_two_arms_are_compared_once_whoever_comes_first():
    assert pairs_of_arms(of_defenses(demem=DEMEM, t=TRADES)) == [("demem", "t")]
    assert pairs_of_arms(of_defenses(only=DEMEM)) == []


def test_comparisons_that_are_asked_for_are_those_and_no_other():
    asked = experiment_of(TINY["arms"], comparisons=[["pgd_at", "erm"]])
    assert pairs_of_arms(asked) == [("pgd_at", "erm")]
    assert pairs_of_arms(experiment_of(TINY["arms"], comparisons=[])) == []


@pytest.mark.parametrize(
    ("comparisons", "why"),
    [
        ([["pgd_at", "ermm"]], "unknown arm 'ermm'"),
        ([["erm", "erm"]], "compared with itself"),
        ([["erm", "pgd_at"], ["pgd_at", "erm"]], "compared before"),
    ],
)
def test_comparisons_that_tell_nothing_are_refused(comparisons: Any, why: str):
    with pytest.raises(ValueError, match=why):
        experiment_of(TINY["arms"], comparisons=comparisons)


class Compared:
    """An experiment whose stages wrote made-up figures, and what its arms differ in."""

    def __init__(self, settings: Mapping[str, Any], folder: Path, **changes: Any) -> None:
        membership = {**settings.get("membership", {}), "false_positive_rates": RATES}
        changed = {**settings, "membership": membership, **changes}
        self.experiment = Experiment.model_validate(changed)
        self.work = prepare(self.experiment, folder / "storage")
        self.accuracy: dict[tuple[str, str | None, str], np.ndarray] = {}
        self.leakage: dict[tuple[str, int, str], dict[str, np.ndarray]] = {}
        rng, num_models, names = np.random.default_rng(0), len(self.work.plan.member), []
        for arm, runs in self.work.plan.arms.items():
            questions = self.experiment.questions(arm)
            for attack in (None, *questions.robustness.attacks):
                told = {key: rng.random(num_models) for key in ("accuracy", "accuracy_mean")}
                self.accuracy |= {(arm, attack, key): values for key, values in told.items()}
                for m, run in enumerate(runs):
                    at = self.work.store.robustness(run.id, questions.robustness_id(attack))
                    store.finish(at, [], {key: values[m] for key, values in told.items()})
            for attack in self.experiment.membership.readings:
                for draws in {1, questions.answers.draws}:
                    figures = {
                        "auc": rng.random(num_models),
                        "tpr": rng.random((num_models, 2)),
                        "resampled": rng.random((num_models, 20, 3)),
                    }
                    reading = Reading(arm, draws, attack, "member")
                    names.append(write_judged(folder, reading, figures))
                    self.leakage[arm, draws, attack] = figures
        store.finish(folder, names, {})
        self.found = compare(self.work, folder)


def test_every_figure_is_compared_model_by_model_and_resample_by_resample(tmp_path: Path):
    made = Compared({**TINY, "membership": {"attacks": ALONE}}, tmp_path)
    (one,) = made.found
    assert (one["arm"], one["against"], one["draws"]) == ("pgd_at", "erm", 1)
    partner, both = made.work.plan.partner, (-1.0, 1.0)
    expected = {}
    for attack, measure in ((None, "natural_accuracy"), ("pgd2", "robust_accuracy/pgd2")):
        of_arm, of_erm = (made.accuracy[arm, attack, "accuracy"] for arm in ("pgd_at", "erm"))
        expected[measure] = mean_interval(of_arm - of_erm, partner, both)._asdict()
    of_arm, of_erm = (made.leakage[arm, 1, "lira_online"] for arm in ("pgd_at", "erm"))
    point = {"auc": of_arm["auc"] - of_erm["auc"]}
    point |= {
        f"tpr_at_fpr/{at:g}": (of_arm["tpr"] - of_erm["tpr"])[:, f] for f, at in enumerate(RATES)
    }
    resampled = of_arm["resampled"] - of_erm["resampled"]
    for i, (name, values) in enumerate(point.items()):
        interval = bootstrap_interval(values, resampled[:, :, i], partner, both)
        expected[f"membership/lira_online/{name}"] = interval._asdict()
    assert one["measures"] == expected


def test_the_strongest_attacks_of_two_arms_are_compared_first_each_chosen_for_itself(
    tmp_path: Path,
):
    made = Compared(TINY, tmp_path)
    over, names = made.work.over, ["lira_online", "lira_offline", "rmia", "mean_rank"]
    of_arms = []
    for arm in ("pgd_at", "erm"):
        of_each = [made.leakage[arm, 1, name] for name in names]
        point = np.stack([of["auc"] for of in of_each])
        resampled = np.stack([of["resampled"][:, :, 0] for of in of_each])
        of_arms.append(strongest(point, resampled, over))
    of_arm, of_erm = of_arms
    apart = of_arm.point - of_erm.point, of_arm.resampled - of_erm.resampled
    (one,) = made.found
    assert one["measures"]["membership/strongest/auc"] == over.leakage(*apart, (-1, 1))._asdict()
    leakage = [name.split("/")[1] for name in one["measures"] if name.startswith("membership/")]
    assert list(dict.fromkeys(leakage)) == ["strongest", *names]


def test_an_arm_compared_by_leakage_without_examples_is_compared_by_students_t(tmp_path: Path):
    made = Compared(TINY, tmp_path, averages={"interval": "t"})
    auc = [made.leakage[arm, 1, "lira_online"]["auc"] for arm in ("pgd_at", "erm")]
    expected = mean_interval(auc[0] - auc[1], made.work.plan.partner, (-1, 1))._asdict()
    assert made.found[0]["measures"]["membership/lira_online/auc"] == expected


def test_randomized_arms_are_compared_by_every_number_of_draws_that_both_have(tmp_path: Path):
    noisy = NOISY["arms"]["noisy"]
    arms = {**NOISY["arms"], "noisier": {"defense": {**noisy["defense"], "gamma": 0.9}}}
    pairs = [["noisy", "erm"], ["noisier", "noisy"]]
    made = Compared(NOISY, tmp_path, arms=arms, comparisons=pairs)
    found = [(one["arm"], one["draws"]) for one in made.found]
    assert found == [("noisy", 1), ("noisier", 1), ("noisier", 3)]
    accuracies = [made.accuracy[arm, None, "accuracy_mean"] for arm in ("noisier", "noisy")]
    difference = accuracies[0].mean() - accuracies[1].mean()
    assert made.found[2]["measures"]["natural_accuracy"]["mean"] == pytest.approx(difference)
