"""The whole command, as a user runs it, on a real local Ray cluster; and killed on the way."""

import csv
import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from runner import pipeline
from runner.experiment.config import parse
from runner.experiment.experiment import Experiment
from runner.plan.work import prepare
from tests.conftest import TINY
from tests.made import commands
from tests.made.clusters import join
from tests.made.commands import done, wait_for
from tests.made.shares import unmounted

pytestmark = [
    pytest.mark.ray("commands"),
    pytest.mark.slow,
    pytest.mark.usefixtures("local_ray"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # Ray's own, of its own parts
]

ATTACK = {"eps": 0.1, "step_size": 0.05, "num_steps": 2}
TRADES = {"name": "trades", "attack": ATTACK}
WEIGHT = "arms.demem.defense.weight"
SWEPT = {
    **TINY,
    "name": "swept",
    "arms": {
        "trades": {"defense": TRADES},
        "demem": {"defense": {"name": "demem", "base": TRADES}},
        "unneeded": {"defense": "erm"},
    },
    "membership": {"false_positive_rates": [0.1]},
    "fleet": {"checkpoint_every_s": 0.2},
    "sweep": {
        "arm": "demem",
        "base": "trades",
        "axes": {WEIGHT: [0.1, 1.0, 1e30]},
        "search": {"name": "grid", "at_once": 3},
        "rungs": [6, 8],
        "objectives": {"false_positive_rate": 0.1},
        "constraint": {"robust_within": 1.0},
    },
}
SEARCHED = {
    **SWEPT,
    "fleet": {"checkpoint_every_s": 0.2, "max_workers": 1},
    "sweep": {
        **SWEPT["sweep"],
        "axes": {
            WEIGHT: {"low": 0.05, "high": 1, "scale": "log"},
            "arms.demem.defense.on": ["total", "adversarial"],
        },
        "search": {"name": "optuna", "num_trials": 3, "at_once": 2, "seed": 1},
    },
}


def run(folder: Path, config: dict[str, Any]) -> tuple[int, str]:
    """The command in this process, to its end; the exit code and everything printed."""
    return commands.here("sweep", folder, config)


def results(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "storage/sweeps/swept/sweep.json").read_text())


def found(folder: Path) -> dict[str, Any]:
    """Everything in sweep.json that is not about its commands or their seconds."""
    of_commands = ("runs", "events", "provenance")
    kept = {key: value for key, value in results(folder).items() if key not in of_commands}
    for trial in kept["trials"]:
        trial["figures"].pop("train_time_s", None)
    return kept


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory, cluster: dict[str, str]) -> tuple[Path, str]:
    """The folder of a grid of which one setting cannot be trained, and what was printed."""
    folder = tmp_path_factory.mktemp("swept")
    code, out = commands.run("sweep", folder, SWEPT, env=cluster)
    assert code == 1, out
    return folder, out


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory, cluster: dict[str, str]) -> Path:
    """The folder of a search by Optuna that nobody disturbed."""
    folder = tmp_path_factory.mktemp("searched")
    join(cluster["RAY_ADDRESS"])
    code, out = run(folder, SEARCHED)
    assert code == 0, out
    return folder


def test_the_base_trains_once_and_nothing_is_trained_again_from_rung_to_rung(
    swept: tuple[Path, str],
):
    folder, _ = swept
    trials = results(folder)["trials"]
    assert [trial["num_models"] for trial in trials[:2]] == [8, 8]
    runs = [path.parent for path in done(folder)]
    of_demem = [path for path in runs if path.name.startswith("demem-")]
    of_base = [path for path in runs if path.name.startswith("trades-")]
    assert len(of_demem) == 8 + 8 + 8  # two settings, and one of them under a fresh seed
    assert len(of_base) == 8 + 8  # whatever the number of settings
    assert len(runs) == 40  # the arm that nobody compares is not trained
    assert results(folder)["runs"] == {"trained": 40, "reused": 0}
    assert all(len([*path.glob("events.out.tfevents.*")]) == 1 for path in runs)


def test_a_setting_that_fails_is_listed_and_does_not_end_the_sweep(swept: tuple[Path, str]):
    folder, out = swept
    bad = results(folder)["trials"][2]
    assert bad["setting"] == {WEIGHT: 1e30}
    assert bad["state"] == "failed"
    assert "nan" in bad["why"] or "not finite" in bad["why"] or "inf" in bad["why"]
    assert "1 of 3 settings failed" in out
    assert results(folder)["recommended"]["setting"] in ({WEIGHT: 0.1}, {WEIGHT: 1.0})


def test_a_sweep_leaves_what_a_reader_looks_for(swept: tuple[Path, str]):
    folder, out = swept
    at = folder / "storage/sweeps/swept"
    with (at / "trials.csv").open() as file:
        rows = [*csv.DictReader(file)]
    assert [row[WEIGHT] for row in rows] == ["0.1", "1", "1e+30"]
    for trial, row in zip(results(folder)["trials"][:2], rows, strict=False):
        figures = trial["by_rung"]["8"]
        assert float(row["leakage_low"]) == figures["leakage"]["low"]
        assert float(row["base_robust"]) == figures["base"]["robust"]["mean"]
        assert float(row["robust_accuracy/pgd2"]) == float(row["robust"])
        assert len([*(at / "tensorboard" / trial["id"]).glob("events.*")]) == 2
    assert (at / "report/index.html").exists()
    assert f"report: {at / 'report' / 'index.html'}" in out
    assert "settings 3/3 done" in out
    assert "weight 0.1: with 6 models: natural" in out
    assert "Configuration for experiment" not in out  # Tune's own talk
    assert not (at / "tune").exists()


def test_the_recommended_yaml_has_no_fault_and_needs_no_training(swept: tuple[Path, str]):
    folder, _ = swept
    text = (folder / "storage/sweeps/swept/recommended.yaml").read_text()
    config, chosen = parse(text), results(folder)["recommended"]
    assert text.startswith("# The setting that the sweep swept recommends: weight ")
    assert config["seed"] == chosen["seed"] == 1
    work = prepare(Experiment.model_validate(config), folder / "storage")
    pipeline.score(work, in_ray=False)
    pipeline.run(work, Console(quiet=True))
    at = folder / "storage/experiments/swept_recommended/results.json"
    arms = json.loads(at.read_text())
    assert arms["runs"] == {"trained": 0, "reused": 16}
    for arm, key in {"demem": "fresh", "trades": "fresh_base"}.items():
        leakage = arms["arms"][arm]["membership"]["lira_online"]["tpr_at_fpr"]["0.1"]
        assert leakage["mean"] == chosen[key]["leakage"]["mean"]
        assert arms["arms"][arm]["natural_accuracy"] == chosen[key]["natural"]


def test_a_second_start_whose_storage_goes_away_twice_trains_nothing_and_finds_the_same(
    searched: Path, cluster: dict[str, str]
):
    before, finished = found(searched), done(searched)
    count = results(searched)["runs"]["trained"]
    assert count == len(finished)
    out, waits = [], threading.Event()
    with commands.started("sweep", searched, SEARCHED, env=cluster) as process:
        assert process.stdout is not None
        for line in process.stdout:
            out.append(line)
            if "versions: " in line or "the recommended setting once more" in line:
                waits.clear()
                unmounted(searched / "storage", waits.is_set)
            if "waits up to 300 s for the storage" in line:
                waits.set()
        assert process.wait() == 0, out
    assert done(searched) == finished
    assert results(searched)["runs"] == {"trained": 0, "reused": count}
    assert found(searched) == before
    told = [event["text"] for event in results(searched)["events"]]
    assert sum("is it mounted?; waits up to 300 s" in text for text in told) >= 2


@pytest.mark.campaign
def test_a_sweep_that_is_killed_trains_no_run_twice_and_finds_the_same(
    searched: Path, tmp_path: Path, cluster: dict[str, str]
):
    with commands.started("sweep", tmp_path, SEARCHED, env=cluster) as process:
        wait_for(lambda: len(done(tmp_path)) >= 24, process)  # in the second generation
    finished = done(tmp_path)
    assert len(finished) < len(done(searched))
    code, out = run(tmp_path, SEARCHED)
    assert code == 0, out
    assert finished.items() <= done(tmp_path).items(), "a finished Run was trained again"
    assert results(tmp_path)["runs"]["reused"] >= len(finished)
    assert {path.parent.name for path in done(tmp_path)} == {
        path.parent.name for path in done(searched)
    }
    assert found(tmp_path) == found(searched)
    [event] = results(tmp_path)["events"]
    assert "did not say how it ended" in event["text"]


@pytest.mark.campaign
def test_a_sweep_that_is_stopped_leaves_at_once_and_says_how_to_go_on(
    tmp_path: Path, cluster: dict[str, str]
):
    with commands.started("sweep", tmp_path, SEARCHED, env=cluster) as process:
        wait_for(lambda: bool(done(tmp_path)), process)
        os.kill(process.pid, signal.SIGTERM)
        began = time.monotonic()
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 143, out
    assert time.monotonic() - began < 30
    assert "run the same command again" in out
    assert not (tmp_path / "storage/sweeps/swept/sweep.json").exists()
