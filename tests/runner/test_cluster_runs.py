"""The commands of configs/cluster, run on this machine: a head without CPUs, and workers."""

import csv
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
import yaml

from tests.conftest import TINY
from tests.made.clusters import (
    HOUSE,
    RAY,
    client_environment,
    free_port,
    own_ports,
    started,
    started_head,
)

pytestmark = [pytest.mark.ray("nodes"), pytest.mark.slow, pytest.mark.campaign]

CLUSTER = HOUSE / "configs" / "cluster"
OTHERS = ("pgd_at", "trades", "trades_demem")
CHANGES = ["design.num_models=6", "training.epochs=1", "robustness.num_examples=40"]
CHANGES += [f"arms.{arm}=null" for arm in OTHERS]
SHRUNK = [word for change in CHANGES for word in ("--set", change)]
STAND_INS = {  # what Slurm has, for "nodes" that are all this machine
    "scontrol": '[ "$1" = requeue ] && exec echo "$@"; printf "%s\\n" ${3//,/ }',
    "srun": """
        copies=1
        while [[ $1 == --* ]]; do
          [[ $1 == --ntasks=* ]] && copies=${1#*=}
          shift
        done
        for ((n = 0; n < copies; n++)); do "$@" & done
        trap 'kill -TERM $(jobs -p)' TERM
        wait
        wait""",
}


def finished_models(storage: Path) -> int:
    """How many models the results in a storage folder speak of."""
    (found,) = storage.glob("experiments/*/results.json")
    results = json.loads(found.read_text())
    return results["runs"]["trained"]


def started_by_rayjob(group: dict) -> list[str]:
    """The options that KubeRay gives `ray start` in a group's pods, and two CPUs to train with."""
    given = {"num-cpus": "2", **group["rayStartParams"]}
    return [f"--{key}={value}" for key, value in given.items() if key != "dashboard-host"]


def test_the_job_of_rayjob_yaml_runs_where_its_head_has_no_cpus(tmp_path: Path):
    job = next(yaml.safe_load_all((CLUSTER / "rayjob.yaml").read_text()))["spec"]
    head, (workers,) = (job["rayClusterSpec"][k] for k in ("headGroupSpec", "workerGroupSpecs"))
    entrypoint = [str(tmp_path) if w == "/results" else w for w in job["entrypoint"].split()]
    assert entrypoint[0] == "python"
    environment = client_environment(tmp_path / "home")
    with ExitStack() as cluster:
        address = cluster.enter_context(started_head(environment, started_by_rayjob(head)))
        options = ["--block", f"--address={address}", *started_by_rayjob(workers), *own_ports()]
        cluster.enter_context(started([*RAY, "start", *options], environment))
        wait_for_cpus(2, address, environment)
        command = [*RAY, "job", "submit", "--"]  # as there: the code is in the image, or installed
        done = subprocess.run(
            [*command, sys.executable, *entrypoint[1:], *SHRUNK],
            env=environment,
            capture_output=True,
            text=True,
            timeout=280,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6/6 models" in done.stdout
    assert finished_models(tmp_path) == 6
    with (tmp_path / "experiments/quickstart/report/table.csv").open() as file:
        cells = {(row["arm"], row["metric"]) for row in csv.DictReader(file)}
    metrics = ["natural_accuracy", "robust_accuracy/pgd20"]
    metrics += [f"membership/lira_{mode}/auc" for mode in ("online", "offline")]
    assert {("erm", metric) for metric in metrics} <= cells
    assert environment["RAY_AUTH_TOKEN"] not in done.stdout + done.stderr


def wait_for_cpus(wanted: int, address: str, environment: dict[str, str]) -> None:
    """Wait until all nodes have joined, at most three minutes."""
    command, status = [*RAY, "status", f"--address={address}"], ""
    end = time.monotonic() + 180
    while time.monotonic() < end:
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        status = done.stdout + done.stderr
        if f"/{wanted:.1f} CPU" in status:
            return
        time.sleep(1)
    raise TimeoutError(status)


@pytest.fixture
def slurm(tmp_path: Path) -> dict[str, str]:
    """The environment of slurm.sh in a job of two nodes; the token is a file, as on a cluster."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, text in STAND_INS.items():
        (programs / name).write_text(f"#!/usr/bin/env bash\n{text}\n")
        (programs / name).chmod(0o755)
    environment = client_environment(tmp_path / "home")
    del environment["RAY_AUTH_TOKEN"], environment["RAY_AUTH_MODE"]
    port = free_port()
    return environment | {
        "PATH": f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(HOUSE),
        "SLURM_JOB_ID": str(port),
        "SLURM_JOB_NODELIST": "one,two",
        "HEAD_IP": "127.0.0.1",
        "PORT": str(port),
        "DASHBOARD_PORT": str(free_port()),
        "HEAD_SIZE": shlex.join(
            ["--num-cpus=0", f"--ray-client-server-port={free_port()}", *own_ports()]
        ),
        "WORKER_SIZE": shlex.join(["--num-cpus=2", *own_ports()]),
    }


def slurm_job(
    environment: dict[str, str], storage: Path, options: Sequence[str] = ()
) -> subprocess.Popen[str]:
    config = storage.with_name("tiny.yaml")
    config.write_text(yaml.safe_dump({**TINY, "arms": {"erm": TINY["arms"]["erm"]}}))
    command = ["run", str(config), "--storage", str(storage), *options]
    return subprocess.Popen(
        [str(CLUSTER / "slurm.sh"), *command],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def test_the_slurm_script_trains_on_its_workers_and_leaves_no_process(
    slurm: dict[str, str], tmp_path: Path
):
    job = slurm_job(slurm, tmp_path / "results")
    try:
        printed, _ = job.communicate(timeout=280)
    except subprocess.TimeoutExpired:
        os.killpg(job.pid, signal.SIGTERM)
        raise
    finally:
        left = still_there(job.pid)
    assert job.returncode == 0, printed
    assert "6/6 models" in printed
    assert finished_models(tmp_path / "results") == 6
    token = tmp_path / "home/.ray/auth_token"
    assert token.stat().st_mode & 0o777 == 0o600
    assert token.read_text().strip() not in printed
    assert left == []


def test_a_slurm_job_that_is_told_of_its_limit_goes_back_into_the_queue(
    slurm: dict[str, str], tmp_path: Path
):
    job = slurm_job(slurm, tmp_path / "results", ["--set", "training.epochs=400"])
    try:
        runs = tmp_path / "results" / "runs"
        for _ in range(480):
            if any(runs.glob("*/events*")):
                break
            assert job.poll() is None, job.communicate()[0]
            time.sleep(0.25)
        job.send_signal(signal.SIGUSR1)
        printed, _ = job.communicate(timeout=90)
    finally:
        left = still_there(job.pid)
    assert job.returncode == 0, printed
    assert printed.endswith(f"requeue {slurm['SLURM_JOB_ID']}\n")
    assert left == []


def still_there(session: int) -> list[str]:
    """What is left of a session a minute after it should have ended; it is killed."""
    import psutil

    end = time.monotonic() + 60
    while (left := of_session(session)) and time.monotonic() < end:
        time.sleep(0.5)
    found = []
    for pid in left:
        with suppress(psutil.NoSuchProcess):
            found.append(" ".join(psutil.Process(pid).cmdline()))
            os.kill(pid, signal.SIGKILL)
    return found


def of_session(session: int) -> list[int]:
    """The processes of a session that have not ended."""
    import psutil

    found = []
    for process in psutil.process_iter(["status"]):
        with suppress(ProcessLookupError):
            if os.getsid(process.pid) == session and process.info["status"] != "zombie":
                found.append(process.pid)
    return found
