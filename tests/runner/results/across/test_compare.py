"""Experiments beside each other: what is paired comes to what one experiment of both arms says."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from runner import pipeline
from runner.experiment.experiment import Experiment
from runner.plan.work import prepare
from runner.results.across.compare import together
from runner.results.across.stored import read_all
from tests.conftest import TINY, do_here
from tests.made.commands import invoke

ARMS = {"both": ["erm", "pgd_at"], "one": ["erm"], "two": ["pgd_at"]}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One experiment of two arms, and two of one arm each, which share its Runs."""
    folder = tmp_path_factory.mktemp("across")
    for name, arms in ARMS.items():
        asked = {"name": name, "arms": {arm: TINY["arms"][arm] for arm in arms}}
        work = prepare(Experiment.model_validate(TINY | asked), folder)
        pipeline.describe(work)
        if work.pending:
            do_here(work)
        pipeline.score(work, in_ray=False)
        pipeline.results_of(work, {"trained": 0, "reused": 0})
    return folder


@pytest.fixture
def storage(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "storage"))


def compared(storage: Path, *named: str) -> dict[str, Any]:
    return together(read_all(named, storage))


def change(storage: Path, name: str, **keys: Any) -> None:
    path = storage / "experiments" / name / "results.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | keys))


def test_in_pairs_two_experiments_differ_as_the_arms_of_one(storage: Path):
    found = compared(storage, "one", "experiments/two")
    (pair,) = found["comparisons"]
    assert (pair["arm"], pair["against"], pair["why"]) == ("two: pgd_at", "one: erm", "")
    both = json.loads((storage / "experiments" / "both" / "results.json").read_text())
    (inside,) = both["comparisons"]
    assert pair["measures"].keys() == inside["measures"].keys()
    for name, figure in inside["measures"].items():
        assert pair["measures"][name] == {**figure, "paired": True}, name
    assert {one["key"] for one in found["differing"]} == {"arms.erm", "arms.pgd_at"}


def test_what_is_printed_is_also_written_where_one_asks(made: Path, tmp_path: Path):
    out = tmp_path / "out"
    code, told = invoke("compare", "one", "two", "--storage", str(made), "--out", str(out))
    assert code == 0, told
    assert {path.name for path in out.iterdir()} == {
        *("index.html", "compared.json", "table.csv", "differences.csv", "differing.csv"),
        *("privacy_accuracy.svg", "privacy_accuracy.pdf"),
    }
    written = json.loads((out / "compared.json").read_text())
    assert written == json.loads(json.dumps(compared(made, "one", "two")))
    assert "In pairs" in told
    assert "two: pgd_at less one: erm" in (out / "index.html").read_text()
    assert (out / "differences.csv").read_text().count(",True\n") == len(
        written["comparisons"][0]["measures"]
    )


def test_an_experiment_does_not_differ_from_its_own_arm_elsewhere(storage: Path):
    pairs = compared(storage, "both", str(storage / "experiments" / "one"))["comparisons"]
    assert [(one["arm"], one["against"]) for one in pairs] == [("one: erm", "both: erm")]
    assert all(figure["mean"] == 0 for figure in pairs[0]["measures"].values())
    assert all(figure["low"] == figure["high"] == 0 for figure in pairs[0]["measures"].values())


@pytest.mark.parametrize(
    ("changed", "why"),
    [({"seed": 8}, "their `seed` differs"), ({"design": {"name": "pairs", "num_models": 8}}, "8")],
)
def test_without_the_same_splits_they_are_two_samples(
    storage: Path, changed: dict[str, Any], why: str
):
    change(storage, "two", **changed)
    (pair,) = compared(storage, "one", "two")["comparisons"]
    assert why in pair["why"]
    assert not any(figure["paired"] for figure in pair["measures"].values())
    accuracy = pair["measures"]["natural_accuracy"]
    assert accuracy["low"] < accuracy["mean"] < accuracy["high"]


def test_models_that_do_not_come_to_the_figures_are_not_taken_in_pairs(storage: Path):
    """As where scores were made again under another configuration, and no report was written."""
    path = storage / "experiments" / "two" / "results.json"
    results = json.loads(path.read_text())
    results["arms"]["pgd_at"]["membership"]["lira_online"]["auc"]["mean"] += 1e-3
    path.write_text(json.dumps(results))
    (pair,) = compared(storage, "one", "two")["comparisons"]
    taken = {name: figure["paired"] for name, figure in pair["measures"].items()}
    assert taken["natural_accuracy"]
    assert not taken["membership/lira_online/auc"]
    assert "does not come to results.json" in pair["why"]


def test_an_attack_of_the_same_name_that_is_set_otherwise_is_another(storage: Path):
    results = json.loads((storage / "experiments" / "two" / "results.json").read_text())
    results["attacks"]["robustness"]["pgd2"] = "pgd(eps 0.3)"
    change(storage, "two", attacks=results["attacks"])
    found = compared(storage, "one", "two")
    assert [*found["attacks"]["robustness"]] == ["pgd2 (one)", "pgd2 (two)"]
    assert "robust_accuracy/pgd2" not in found["comparisons"][0]["measures"]


@pytest.mark.parametrize(
    ("named", "told"),
    [
        (["one"], "two or more are compared"),
        (["one", "one"], "is named twice"),
        (["one", "tow"], "did you mean 'two'? it has both, one, two"),
        (["one", "experiments/three"], "no results.json and no sweep.json there"),
        (["one", "two", "--out", "{}/experiments/one/results.json"], "is no folder"),
    ],
)
def test_what_cannot_be_compared_is_told_with_a_way_out(made: Path, named: list[str], told: str):
    before = sorted(made.rglob("*"))
    asked = [part.format(made) for part in named]
    code, out = invoke("compare", *asked, "--storage", str(made))
    assert code == 2
    assert told in " ".join(out.split())
    assert sorted(made.rglob("*")) == before
