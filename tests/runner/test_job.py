"""`ray job submit` against a cluster that a user started with `ray start`, on loopback."""

import json
import re
import secrets
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from runner import pipeline
from runner.driver._standing import standing
from runner.experiment.experiment import Experiment
from runner.plan.work import prepare
from runner.storage.store import Store
from tests.clusters import HOUSE, RAY, client_environment, started_head
from tests.conftest import TINY, do_here
from tests.made.given import member_of, write

pytestmark = [pytest.mark.ray, pytest.mark.slow]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a client of a fresh head node with token authentication."""
    environment = client_environment(tmp_path_factory.mktemp("home"))
    environment.pop("PYTHONUNBUFFERED", None)
    environment["RAY_JOB_STOP_WAIT_TIME_S"] = "30"  # of the head: 3 s, and then it kills
    with started_head(environment, ["--num-cpus=2"]):
        yield environment


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
    cluster: dict[str, str], command: list[str], *options: str
) -> subprocess.CompletedProcess[str]:
    """A job that ended well; it is waited for, unless the options say otherwise."""
    return job(cluster, "submit", "--working-dir", str(HOUSE), *options, "--", *command)


def runner(*words: str) -> subprocess.CompletedProcess[str]:
    """A command in a terminal that knows nothing of the cluster."""
    command = [sys.executable, "-m", "runner", *words]
    return subprocess.run(command, cwd=HOUSE, capture_output=True, text=True, timeout=100)


def test_a_submitted_sweep_says_in_the_jobs_log_how_far_it_is(
    cluster: dict[str, str], tmp_path: Path
):
    command = [sys.executable, "-m", "runner", "sweep", "configs/sweeps/demem_lambda.yaml"]
    changes = ["training.epochs=1", "sweep.rungs=[6]", "robustness.num_examples=20"]
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
    """The arms of results.json of a run without Ray that nobody stopped."""
    work = do_here(prepare(Experiment.model_validate(config), storage))
    return pipeline.report(work, {"trained": len(work.plan.runs), "reused": 0})["arms"]


def test_a_job_that_is_stopped_leaves_in_time_and_goes_on_when_it_is_submitted_again(
    cluster: dict[str, str], tmp_path: Path
):
    slower = TINY["training"] | {"epochs": 120, "batch_size": 8}
    config = TINY | {"training": slower, "arms": {"erm": TINY["arms"]["erm"]}}
    (tmp_path / "x.yaml").write_text(yaml.safe_dump(config | {"fleet": {"checkpoint_every_s": 0}}))
    storage = tmp_path / "storage"
    words = ["run", str(tmp_path / "x.yaml"), "--storage", str(storage)]
    command = [sys.executable, "-m", "runner", *words]
    started = submitted(cluster, command, "--no-wait", "--submission-id", "stopped")
    assert "models" not in started.stdout, "it was waited for"
    found = wait_for(lambda found: found["state"] == "running", storage)
    second = runner(*words)
    assert second.returncode == 2, second.stderr
    assert "another driver (process " in second.stderr
    wait_for(lambda found: found["models"].get("done", 0) > 0, storage)
    (found,) = json.loads(runner("status", "tiny", "--json", "--storage", str(storage)).stdout)
    assert found["state"] == "running"
    assert found["models"]["total"] == 6
    finished = {path: path.stat().st_mtime_ns for path in storage.glob("runs/*/DONE")}
    began = time.monotonic()
    stop(cluster, "stopped")
    found = wait_for(lambda found: found["state"] != "running", storage)
    assert time.monotonic() - began < 25  # 20 s, and what `status` takes
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
    submitted(cluster, command, "--no-wait", "--submission-id", "again")
    found = wait_for(lambda found: found["state"] == "finished", storage)
    assert found["models"]["done"] == 6
    assert finished.items() <= {p: p.stat().st_mtime_ns for p in finished}.items()
    results = json.loads((storage / "experiments/tiny/results.json").read_text())
    assert results["runs"]["reused"] >= len(finished)
    expected = json.loads(json.dumps(undisturbed(config, tmp_path / "undisturbed")))
    for arm in (results["arms"]["erm"], expected["erm"]):
        del arm["train_time_s"]
    assert results["arms"] == expected


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


def test_a_client_without_the_token_is_turned_away(cluster: dict[str, str]):
    stranger = {**cluster, "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    done = subprocess.run([*RAY, "job", "list"], env=stranger, capture_output=True, text=True)
    assert done.returncode != 0
    assert "401" in done.stdout + done.stderr or "token" in (done.stdout + done.stderr).lower()
