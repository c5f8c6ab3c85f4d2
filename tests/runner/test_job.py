"""`ray job submit` against a cluster that a user started with `ray start`, on loopback."""

import csv
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [pytest.mark.ray, pytest.mark.slow]

HOUSE = Path(__file__).parents[2]
RAY = [sys.executable, "-m", "ray.scripts.scripts"]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a client of a fresh head node with token authentication."""
    port, dashboard = free_port(), free_port()
    home = tmp_path_factory.mktemp("home")
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith("RAY_")
    } | {
        "HOME": str(home),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_API_SERVER_ADDRESS": f"http://127.0.0.1:{dashboard}",
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    command = ["start", "--head", "--block", "--node-ip-address=127.0.0.1", f"--port={port}"]
    options = ["--dashboard-host=127.0.0.1", f"--dashboard-port={dashboard}", "--num-cpus=2"]
    # Unix sockets have short names: pytest's folders are too deep for Ray's.
    folder = Path(f"/tmp/ray-{port}")
    head = subprocess.Popen(
        [*RAY, *command, *options, f"--temp-dir={folder}"],
        env=environment,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for_dashboard(dashboard)
        yield environment
    finally:
        os.killpg(head.pid, signal.SIGTERM)
        try:
            head.wait(timeout=15)
        except subprocess.TimeoutExpired:
            os.killpg(head.pid, signal.SIGKILL)
            head.wait()
        shutil.rmtree(folder, ignore_errors=True)


def wait_for_dashboard(port: int) -> None:
    for _ in range(240):
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return
        except OSError:
            time.sleep(0.25)
    raise TimeoutError(f"no dashboard on port {port} after a minute")


def submitted(cluster: dict[str, str], command: list[str]) -> subprocess.CompletedProcess[str]:
    """A job that was waited for and ended well."""
    done = subprocess.run(
        [*RAY, "job", "submit", "--working-dir", str(HOUSE), "--", *command],
        env=cluster,
        capture_output=True,
        text=True,
        timeout=280,
        cwd=HOUSE,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def test_a_submitted_job_trains_and_reports_at_home_when_no_storage_is_named(
    cluster: dict[str, str],
):
    shrunk = ["design.num_models=6", "training.epochs=1"]
    command = ["python", "-m", "runner", "run", "configs/quickstart.yaml"]
    command[0] = sys.executable
    options = [word for change in shrunk for word in ("--set", change)]
    storage = Path(cluster["HOME"]) / "runner-results"  # the working folder is a temporary copy
    done = submitted(cluster, [*command, *options])
    assert "report: " in done.stdout
    assert "24/24 models" in done.stdout
    found = json.loads((storage / "experiments/quickstart/results.json").read_text())
    assert found["runs"]["trained"] == 24
    arms = {"erm", "pgd_at", "trades", "trades_demem"}
    assert set(found["arms"]) == arms
    with (storage / "experiments/quickstart/report/table.csv").open() as file:
        cells = {(row["arm"], row["metric"]) for row in csv.DictReader(file)}
    metrics = ["natural_accuracy", "robust_accuracy/pgd20"]
    metrics += [f"membership/lira_{mode}/auc" for mode in ("online", "offline")]
    assert {(arm, metric) for arm in arms for metric in metrics} <= cells


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


def test_a_client_without_the_token_is_turned_away(cluster: dict[str, str]):
    stranger = {**cluster, "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    done = subprocess.run([*RAY, "job", "list"], env=stranger, capture_output=True, text=True)
    assert done.returncode != 0
    assert "401" in done.stdout + done.stderr or "token" in (done.stdout + done.stderr).lower()
