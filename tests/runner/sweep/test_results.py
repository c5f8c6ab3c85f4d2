"""What is written of a sweep, from figures made by hand."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from runner.experiment.sweep import Objectives
from runner.sweep import results
from runner.sweep.rungs import Ended
from runner.sweep.settings import id_of
from tests.made.sweeps import BASE, figures, swept

EVENTS = [{"at": "2001-09-09T01:46:40+00:00", "text": "a node was lost"}]


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
    return results.sweep_results(
        experiment, sought, trials, (None, "why"), runs, [], EVENTS, Path()
    )


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
