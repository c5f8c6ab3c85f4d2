"""`ray job submit` against a cluster that a user started with `ray start`, on loopback."""

import csv
import json
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clusters import HOUSE, RAY, client_environment, started_head

pytestmark = [pytest.mark.ray, pytest.mark.slow]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a client of a fresh head node with token authentication."""
    environment = client_environment(tmp_path_factory.mktemp("home"))
    with started_head(environment, ["--num-cpus=2"]):
        yield environment


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
