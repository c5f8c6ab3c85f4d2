"""configs/cluster/slurm.sh on a real Slurm, where it is installed."""

import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from tests.conftest import TINY
from tests.made.clusters import HOUSE, free_port, own_ports
from tests.made.commands import figures, results
from tests.made.slurm import INSTALLED, asked, slurm
from tests.runner.test_pipeline import alone

pytestmark = [
    pytest.mark.ray("nodes"),
    pytest.mark.slow,
    pytest.mark.campaign,
    pytest.mark.skipif(not INSTALLED, reason="apt-get install slurmctld slurmd slurm-client munge"),
]

SCRIPT = str(HOUSE / "configs" / "cluster" / "slurm.sh")
LONG = {  # some seconds a model
    **TINY,
    "training": {**TINY["training"], "epochs": 200},
    "arms": {"erm": TINY["arms"]["erm"]},
    "fleet": {"checkpoint_every_s": 0},
}


@pytest.fixture(scope="module")
def cluster() -> Iterator[dict[str, str]]:
    with slurm() as env:
        yield env


@pytest.fixture
def env(cluster: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """What the script is given here: two nodes on one machine need ports of their own."""
    kept = {key: value for key, value in cluster.items() if not key.startswith("RAY_")}
    head = ["--num-cpus=0", f"--ray-client-server-port={free_port()}", *own_ports()]
    return kept | {
        "HOME": str(tmp_path / "home"),
        "PATH": f"{Path(sys.executable).parent}:{kept['PATH']}",
        "PYTHONPATH": str(HOUSE),
        "HEAD_IP": "127.0.0.1",
        "HEAD_SIZE": shlex.join(head),
        "WORKER_SIZE": shlex.join(own_ports()),
        "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",
    }


def submitted(tmp_path: Path, env: dict[str, str], *words: str) -> str:
    """The number of a job; what it prints goes to a file `slurm-NUMBER.out` in the folder."""
    command = ["bash", SCRIPT, *words]
    found = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    return found.stdout.split()[-1]


def wait(until: Callable[[], bool], folder: Path, patience_s: float = 400) -> None:
    end = time.monotonic() + patience_s
    while not until():
        assert time.monotonic() < end, printed(folder)
        time.sleep(0.2)


def printed(folder: Path) -> str:
    """What all jobs that were submitted there have printed."""
    return "".join(path.read_text() for path in sorted(folder.glob("slurm-*.out")))


def state(job: str, env: dict[str, str]) -> str:
    """The states of a job, or of all jobs of its array."""
    found = asked(["scontrol", "--oneliner", "show", "job", job], env)
    return " ".join(re.findall(r"JobState=(\w+)", found))


def checkpointed(folder: Path) -> float:
    """When a training has last written a checkpoint; 0 if none has."""
    found = folder.glob("storage/runs/*/checkpoint.pt")
    return max((path.stat().st_mtime for path in found), default=0.0)


def test_a_job_goes_on_by_itself_after_its_time_limit_and_finds_what_one_process_finds(
    env: dict[str, str], tmp_path: Path
):
    """Three times it gets the signal that Slurm sends before the limit."""
    (tmp_path / "x.yaml").write_text(yaml.safe_dump(LONG))
    words = ["run", str(tmp_path / "x.yaml"), "--storage", str(tmp_path / "storage")]
    job = submitted(tmp_path, env | {"NODES": "2", "TIME": "10"}, *words)
    for number in range(1, 4):
        began = time.time()
        wait(lambda began=began: checkpointed(tmp_path) > began, tmp_path)
        asked(["scancel", "--batch", "--signal=USR1", job], env)
        wait(lambda n=number: printed(tmp_path).count("back into the queue") == n, tmp_path)
    wait(lambda: state(job, env) == "COMPLETED", tmp_path)
    assert "6/6 models" in printed(tmp_path)
    assert figures(results(tmp_path)) == alone(tmp_path / "alone", LONG)
    events = [event["text"] for event in results(tmp_path)["events"]]
    assert len(events) == 3
    assert all("exit code 143" in text for text in events), events


def test_commands_of_a_file_are_jobs_of_an_array_and_a_bad_one_is_not_tried_again(
    env: dict[str, str], tmp_path: Path
):
    commands = tmp_path / "commands.txt"
    commands.write_text("--version\n\ncheck 'no such.yaml'\n")
    asked_for = {"NODES": "1", "TIME": "10", "CPUS": "1", "COMMANDS": str(commands)}
    job = submitted(tmp_path, env | asked_for)
    wait(lambda: sorted(state(job, env).split()) == ["COMPLETED", "FAILED"], tmp_path)
    assert "opacus " in printed(tmp_path), "the versions"
    assert "no such.yaml" in printed(tmp_path)
    assert "back into the queue" not in printed(tmp_path)


@pytest.mark.parametrize(
    ("given", "words", "said"),
    [
        ({}, [], "say what to do"),
        ({"COMMANDS": "nowhere.txt"}, [], "nowhere.txt"),
        ({"COMMANDS": "empty.txt"}, [], "empty.txt has no command"),
        ({"COMMANDS": "x.txt"}, ["run"], "leave out: run"),
    ],
)
def test_what_cannot_be_submitted_is_said(
    env: dict[str, str], tmp_path: Path, given: dict[str, str], words: list[str], said: str
):
    (tmp_path / "empty.txt").write_text("\n")
    found = subprocess.run(
        ["bash", SCRIPT, *words], cwd=tmp_path, env=env | given, capture_output=True, text=True
    )
    assert found.returncode == 2
    assert said in found.stderr
    assert asked(["squeue", "--noheader"], env) == ""
