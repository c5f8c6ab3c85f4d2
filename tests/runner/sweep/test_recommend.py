"""Which setting is recommended, and what is written of a sweep, from figures made by hand."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from runner.experiment.config import parse, validate
from runner.experiment.experiment import Experiment
from runner.experiment.sweep import Constraint, Objectives
from runner.sweep import recommend, results
from runner.sweep.rungs import Ended
from runner.sweep.settings import id_of
from tests.made.sweeps import figures, swept

EVENTS = [{"at": "2001-09-09T01:46:40+00:00", "text": "a node was lost"}]
BASE = figures(0.9, 0.6, 0.3)


def measured(natural: float, robust: float | None, leakage: float, num_models: int = 16) -> Any:
    """A trial of sweep.json that meets the default constraint or not."""
    at = figures(natural, robust, leakage)
    passes = recommend.meets(Constraint(), at, BASE)
    by_rung = {str(num_models): at}
    state = "finished" if num_models == 16 else "stopped"
    found = {"num_models": num_models, "by_rung": by_rung, "meets_constraint": passes}
    return {**found, "state": state}


def test_the_constraint_is_about_means_and_its_bound_belongs_to_it():
    within = Constraint(robust_within=0.01)
    assert recommend.meets(within, figures(0.1, 0.59, 0.3), BASE)
    assert not recommend.meets(within, figures(0.9, 0.589, 0.3), BASE)
    both = Constraint(robust_within=0.01, natural_within=0.02)
    assert recommend.meets(both, figures(0.88, 0.59, 0.3), BASE)
    assert not recommend.meets(both, figures(0.879, 0.7, 0.3), BASE)
    assert recommend.meets(Constraint(robust_within=None), figures(0, 0, 1), BASE)
    assert recommend.meets(both, figures(0, 0, 1), None)
    no_attack = figures(0.9, None, 0.3)
    assert recommend.meets(within, no_attack, no_attack)


def test_the_least_leaky_of_the_top_rung_that_meets_the_constraint_is_recommended():
    trials = [
        measured(0.9, 0.6, 0.2),
        measured(0.9, 0.5, 0.01),  # too weak
        measured(0.9, 0.6, 0.05, num_models=8),  # stopped: with fewer models
        measured(0.9, 0.6, 0.1),
        measured(0.9, 0.65, 0.1),  # as private, and more robust
    ]
    chosen, why = recommend.recommended(trials)
    assert chosen is trials[4]
    assert "least of the 3 settings with 16 models" in why
    assert recommend.recommended(trials[1:2])[0] is None
    assert "none of the 1 settings with 16 models" in recommend.recommended(trials[1:2])[1]
    assert recommend.recommended(trials[2:3])[0] is None
    assert recommend.recommended([]) == (None, "no setting could be measured to the end")


def test_a_randomized_arm_is_compared_by_the_mean_over_its_draws():
    def read(value: float) -> dict[str, Any]:
        figure = {"mean": value, "low": value, "high": value, "num_models": 6, "more": 1}
        membership = {"lira": {"auc": figure, "tpr_at_fpr": {"0.1": figure}}}
        return {
            "natural_accuracy": figure,
            "robust_accuracy": {"pgd": figure},
            "membership": membership,
        }

    sought = Objectives(robustness="pgd", membership="lira", false_positive_rate=0.1)
    once = results.objectives_of({**read(0.2), "averaged": None}, sought)
    mean = results.objectives_of({**read(0.2), "averaged": read(0.4)}, sought)
    assert {figure["mean"] for figure in once.values()} == {0.2}
    assert {figure["mean"] for figure in mean.values()} == {0.4}
    assert set(once["leakage"]) == {"mean", "low", "high", "num_models"}
    without = sought.model_copy(update={"robustness": None, "false_positive_rate": None})
    assert results.objectives_of(read(0.2), without)["robust"] is None


@pytest.fixture
def of_sweep(tmp_path: Path) -> dict[str, Any]:
    """sweep.json of three settings: one with all models, one that was stopped, one that failed."""
    _, experiment = swept({"training.epochs": [4, 2, 1]}, base="erm")
    settings = {id_of({"training.epochs": n}): {"training.epochs": n} for n in (4, 2, 1)}
    best, stopped, failed = settings
    record = {**figures(0.9, 0.6, 0.1), "base": BASE, "warnings": []}
    records = {best: {8: record, 6: record}, stopped: {6: record}, failed: {}}
    ended = {
        best: Ended("finished", ""),
        stopped: Ended("stopped", "with 6 models x beats it"),
        failed: Ended("failed", "why"),
    }
    for each, rungs in records.items():
        for rung in rungs:
            path = tmp_path / "trials" / each / f"m{rung:04d}" / "results.json"
            path.parent.mkdir(parents=True)
            arm = {"natural_accuracy": record["natural"], "averaged": None}
            path.write_text(json.dumps({"arms": {"pgd_at": arm}}))
    assert experiment.sweep
    trials = results.trials_of(experiment.sweep, settings, records, ended, tmp_path)
    sought, runs = Objectives(), {"trained": 1, "reused": 2}
    return results.results_of(experiment, sought, trials, (None, "why"), runs, [], EVENTS)


def test_what_went_wrong_is_in_the_results(of_sweep: dict[str, Any]):
    assert of_sweep["events"] == EVENTS


def test_settings_are_sorted_by_their_values_and_only_the_top_rung_is_on_the_front(
    of_sweep: dict[str, Any],
):
    trials = of_sweep["trials"]
    assert [t["setting"]["training.epochs"] for t in trials] == [1, 2, 4]
    assert [t["state"] for t in trials] == ["failed", "stopped", "finished"]
    assert [t["num_models"] for t in trials] == [0, 6, 8]
    assert [t["on_front"] for t in trials] == [False, False, True]
    assert [t["meets_constraint"] for t in trials] == [False, True, True]
    assert list(trials[2]["by_rung"]) == ["6", "8"]
    assert trials[2]["by_rung"]["8"] == {**figures(0.9, 0.6, 0.1), "base": BASE}
    assert set(trials[2]["figures"]) == {"natural_accuracy"}
    assert json.loads(json.dumps(of_sweep)) == of_sweep


def test_the_csv_has_a_row_for_every_setting(of_sweep: dict[str, Any]):
    rows = [*csv.DictReader(results.trials_csv(of_sweep).splitlines())]
    assert [row["training.epochs"] for row in rows] == ["1", "2", "4"]
    assert [row["leakage"] for row in rows] == ["", "0.1", "0.1"]
    assert rows[2]["base_leakage_high"] == "0.3"
    assert rows[0]["why"] == "why"


def test_hparams_lie_in_a_folder_for_each_measured_setting_and_are_replaced(
    of_sweep: dict[str, Any], tmp_path: Path
):
    for _ in range(2):
        results.write_hparams(of_sweep, tmp_path / "tensorboard")
    folders = {path.name: path for path in (tmp_path / "tensorboard").iterdir()}
    assert set(folders) == {t["id"] for t in of_sweep["trials"] if t["num_models"]}
    assert all(len([*folder.iterdir()]) == 2 for folder in folders.values())


def test_the_recommended_yaml_is_the_setting_under_the_next_seed():
    data, experiment = swept(base="erm")
    setting = {"arms.pgd_at.defense.attack.eps": 0.2, "training.epochs": 4}
    made = recommend.fresh(data, experiment, setting, 8)
    at = figures(0.9, 0.6, 0.1, 0.01)
    chosen = {"setting": setting, "num_models": 8, "fresh": at, "fresh_base": BASE}
    assert experiment.sweep
    text = recommend.as_yaml(
        made, experiment.sweep, {**chosen, "flattered": at, "flattered_base": BASE}
    )
    assert "recommends: eps 0.2, epochs 4." in text
    assert "#   pgd_at: natural 0.900 [0.890, 0.910], robust 0.600" in text
    read = validate(parse(text), Experiment, "recommended.yaml")
    assert read.name == "tiny_recommended"
    assert read.seed == experiment.seed + 1
    assert read.design.num_models == 8
    assert read.sweep is None
    long = experiment.model_copy(update={"name": "x" * 60})
    assert len(recommend.fresh(data, long, setting, 8)["name"]) == 60
