"""The short version that is measured in place of an experiment."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from runner.experiment.experiment import Experiment
from runner.forecast._estimate import unknown_steps
from runner.forecast._short_version import short_version
from runner.forecast._step_times import step_times_of
from runner.plan.work import prepare
from tests.conftest import TINY
from tests.made.commands import invoke
from tests.made.timings import done

EPOCHS = {"training": {**TINY["training"], "epochs": 9}}


def test_the_last_epoch_of_a_short_version_stands_for_all(tmp_path: Path):
    work = prepare(Experiment.model_validate({**TINY, **EPOCHS}), tmp_path)
    short = short_version(work, "runner run x")
    assert short is not None
    assert short.command.endswith("--set training.epochs=2")
    for arm in work.plan.arms:
        done(short.work, arm, 0, 10.0)  # 5 s an epoch
    times = step_times_of(work, short.work)
    assert times.trained(work.plan.runs[0]) == 45.0
    assert not unknown_steps(work, times)


@pytest.mark.parametrize(
    "changes",
    [
        {**EPOCHS, "design": {"num_models": 64}},
        {"training": {"epochs": 30, "schedule": {"warmup_epochs": 5}}},
        {"training": {"epochs": 30, "schedule": {"name": "step", "milestones": [20]}}},
        {
            "training": {
                "epochs": 30,
                "schedule": {"name": "step", "milestones": [20], "factor": 0.5},
            },
            "arms": {**TINY["arms"], "short": {"defense": "erm", "training": {"epochs": 25}}},
        },
        {
            **EPOCHS,
            "arms": {**TINY["arms"], "long": {"defense": "erm", "training": {"epochs": 20}}},
        },
        {**EPOCHS, "design": {"num_models": 16}, "averages": {"num_models": 12}},
        {"design": {"num_models": 12}, "memorization": {"arm": "erm"}},
        {"design": {"num_models": 64}, "vulnerable": {"attack": "lira_online"}},
        {
            "design": {"name": "canaries", "num_models": 64, "canaries": {"num": 20}},
            "training": {"epochs": 4, "batch_size": 32},
        },
    ],
    ids=[
        "more models",
        "warmup",
        "milestones",
        "milestones and an arm of its own",
        "an arm of its own",
        "averages",
        "memorization",
        "vulnerable",
        "canaries",
    ],
)
def test_the_command_to_measure_makes_the_very_runs_that_plan_then_looks_for(
    changes: dict[str, Any], tmp_path: Path
):
    (tmp_path / "x.yaml").write_text(yaml.safe_dump({**TINY, **changes}))
    at = ["--storage", str(tmp_path / "s")]
    code, out = invoke("plan", str(tmp_path / "x.yaml"), *at, "--cluster", "two_cores")
    assert code == 0, out
    (command,) = re.findall(r"^ +(runner run .*)$", out, re.M)
    given = [word.strip("'") for word in re.findall(r"--set ('[^']*'|\S+)", command)]
    experiment = read_experiment(tmp_path / "x.yaml", [])
    short = short_version(prepare(experiment, tmp_path / "s"), "runner run")
    assert short is not None
    again = prepare(read_experiment(tmp_path / "x.yaml", given), tmp_path / "s")
    assert {run.id for run in again.plan.runs} == {run.id for run in short.work.plan.runs}
    assert len(again.plan.arms["erm"]) <= 8


def read_experiment(path: Path, overrides: list[str]) -> Experiment:
    from runner.experiment import config

    return config.load(path, overrides, Experiment)
