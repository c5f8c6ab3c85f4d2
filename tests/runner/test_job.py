"""`ray job submit` to a cluster that was started with `ray start`, on loopback."""

import json
import re
import secrets
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runner import pipeline
from runner.code.commit import git_commit
from runner.code.record import code_facts
from runner.driver._standing import standing
from runner.experiment.experiment import Experiment
from runner.plan.work import prepare
from runner.storage.store import Store
from tests.conftest import TINY, do_here
from tests.made import commands
from tests.made.clusters import HOUSE, RAY
from tests.made.gate import Gate
from tests.made.given import member_of, write

pytestmark = [pytest.mark.ray("commands"), pytest.mark.slow]


def job(cluster: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    """A `ray job` command that ended well."""
    command = [*RAY, "job", *words]
    options: dict[str, Any] = {"env": cluster, "capture_output": True, "text": True, "cwd": HOUSE}
    done = subprocess.run(command, timeout=280, **options)
    end = time.monotonic() + 60
    while "No available agent" in done.stderr and time.monotonic() < end:
        time.sleep(1)  # on a busy machine the head's agent starts well after its dashboard
        done = subprocess.run(command, timeout=280, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def submitted(
    cluster: dict[str, str], command: list[str], *options: str, house: Path = HOUSE
) -> subprocess.CompletedProcess[str]:
    """A job that ended well; it is waited for, unless the options say otherwise."""
    return job(cluster, "submit", "--working-dir", str(house), *options, "--", *command)


def runner(*words: str) -> subprocess.CompletedProcess[str]:
    """A command in a terminal that knows nothing of the cluster."""
    command = [sys.executable, "-m", "runner", *words]
    options: dict[str, Any] = {"env": commands.without_ray(), "capture_output": True, "text": True}
    return subprocess.run(command, cwd=HOUSE, timeout=100, **options)


def test_a_submitted_sweep_says_in_the_jobs_log_how_far_it_is(
    cluster: dict[str, str], tmp_path: Path
):
    command = [sys.executable, "-m", "runner", "sweep", "configs/sweeps/demem_lambda.yaml"]
    changes = ["training.epochs=1", "sweep.rungs=[6]", "robustness.num_examples=20"]
    changes += ["data.num_examples=200", "model.width=4", "fleet.max_workers=1"]
    changes.append('sweep.axes={"arms.trades_demem.defense.weight": [0.1, 0.3]}')
    options = [word for change in changes for word in ("--set", change)]
    done = submitted(cluster, [*command, *options, "--storage", str(tmp_path)])
    for told in ("weight 0.1: with 6 models: natural", "settings 2/2 done", "recommended: "):
        assert told in done.stdout
    found = json.loads((tmp_path / "sweeps/sweep_demem_lambda/sweep.json").read_text())
    assert [trial["state"] for trial in found["trials"]] == ["finished", "finished"]
    assert found["runs"] == {"trained": 6 + 2 * 6 + 2 * 6, "reused": 0}
    assert (tmp_path / "sweeps/sweep_demem_lambda/report/pareto.svg").exists()


def stop(cluster: dict[str, str], submission: str) -> None:
    """What `ray job stop` asks for, without the seconds that its client takes to start."""
    token = {"Authorization": f"Bearer {cluster['RAY_AUTH_TOKEN']}"}
    url = f"{cluster['RAY_API_SERVER_ADDRESS']}/api/jobs/{submission}/stop"
    asked = urllib.request.Request(url, method="POST", headers=token)
    with urllib.request.urlopen(asked, timeout=60) as answer:
        assert json.load(answer) == {"stopped": True}


def wait_for(happened: Callable[[dict[str, Any]], bool], storage: Path) -> dict[str, Any]:
    """What `runner status --json` has of an experiment once something happened."""
    end = time.monotonic() + 200
    while True:
        found = standing(Store(storage), "experiment", "tiny", time.time())
        if happened(found):
            return found
        assert time.monotonic() < end, found
        time.sleep(0.5)


def undisturbed(config: dict[str, Any], storage: Path) -> dict[str, Any]:
    """The figures of a run without Ray that nobody stopped."""
    work = do_here(prepare(Experiment.model_validate(config), storage))
    return commands.figures(pipeline.report(work, {"trained": len(work.plan.runs), "reused": 0}))


@pytest.mark.campaign
def test_a_job_that_is_stopped_leaves_in_time_and_goes_on_when_it_is_submitted_again(
    cluster: dict[str, str], tmp_path: Path
):
    config = {
        **TINY,
        "training": TINY["training"] | {"epochs": 12},
        "arms": {"erm": TINY["arms"]["erm"]},
        "fleet": {"checkpoint_every_s": 0, "max_workers": 1},
    }
    gate, storage = Gate(tmp_path), tmp_path / "storage"
    words = ["run", commands.written(tmp_path, config), "--storage", str(storage)]
    command = [sys.executable, "-m", "runner", *words]
    options = ["--no-wait", "--submission-id"]
    started = submitted(cluster, command, *options, "stopped", house=gate.house)
    assert "models" not in started.stdout, "it was waited for"
    found = wait_for(lambda found: found["state"] == "running", storage)
    second = runner(*words)
    assert second.returncode == 2, second.stderr
    assert "another driver (process " in second.stderr
    gate.let_through(1)
    wait_for(lambda found: found["models"].get("done", 0) > 0, storage)
    (found,) = json.loads(runner("status", "tiny", "--json", "--storage", str(storage)).stdout)
    assert found["state"] == "running"
    assert found["models"]["total"] == 6
    finished = commands.done(tmp_path)
    began = time.monotonic()
    stop(cluster, "stopped")
    gate.slow_down()  # whoever trains comes to the end of its epoch, and not to the last one
    found = wait_for(lambda found: found["state"] != "running", storage)
    assert time.monotonic() - began < 25  # 20 s, and what `status` takes
    assert [*storage.glob("runs/*/checkpoint.pt")]
    log = job(cluster, "logs", "stopped").stdout
    assert "stopping: workers write their checkpoints" in log
    assert "run the same command again" in log
    assert "Traceback" not in log
    assert re.search(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \d/6 models", log, re.M), log
    assert runner("status", "tiny", "--storage", str(storage)).returncode == 1
    assert found["state"] == "stopped"
    assert 0 < found["models"]["done"] < 6
    told = json.loads((storage / "experiments/tiny/driver.json").read_text())
    assert told["ended"] == 143
    submitted(cluster, command, *options, "again")
    found = wait_for(lambda found: found["state"] == "finished", storage)
    assert found["models"]["done"] == 6
    assert finished.items() <= commands.done(tmp_path).items()
    results = commands.results(tmp_path)
    assert results["runs"]["reused"] >= len(finished)
    expected = json.loads(json.dumps(undisturbed(config, tmp_path / "undisturbed")))
    assert commands.figures(results) == expected


def test_a_submitted_audit_reports_at_home_when_no_storage_is_named(
    cluster: dict[str, str], tmp_path: Path
):
    storage = Path(cluster["HOME"]) / "runner-results"  # the working folder is a temporary copy
    write(tmp_path / "answers", member_of())
    command = [sys.executable, "-m", "runner", "audit", "--name", "given"]
    command += ["--answers", str(tmp_path / "answers"), "--member", str(tmp_path / "member.npy")]
    done = submitted(cluster, command)
    assert "audit: membership scores" in done.stdout
    assert (storage / "audits/given/report/index.html").exists()
    told = runner("status", "given", "--storage", str(storage))
    assert told.returncode == 0, told.stderr
    assert "audit given: finished" in told.stdout
    results = json.loads((storage / "audits/given/results.json").read_text())
    assert results["git_commit"] == git_commit()
    assert results["code"] == code_facts()


def test_a_client_without_the_token_is_turned_away(cluster: dict[str, str]):
    stranger = {**cluster, "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    done = subprocess.run([*RAY, "job", "list"], env=stranger, capture_output=True, text=True)
    assert done.returncode != 0
    assert "401" in done.stdout + done.stderr or "token" in (done.stdout + done.stderr).lower()
