"""Exit codes, and the message of each; a signal as a process gets it."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from runner.__main__ import app
from runner.driver.exits import MEANINGS, ending
from runner.experiment.config import ConfigError, Fault
from runner.faults import BadAnswers, DataMissing, Stopped, TakenOver, Unfinished, UserFault
from runner.storage.store import Corrupt, StorageError
from tests.made.faults import exception_classes, one_of

HOUSE = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (ConfigError("x.yaml", [Fault("seed", "odd")]), 2, "x.yaml: 1 fault"),
        (StorageError("full"), 2, "full"),
        (DataMissing("data: no"), 2, "data: no"),
        (BadAnswers("a.npz", "odd", "mend it"), 2, "a.npz: odd; mend it"),
        (Corrupt("a/b", "short"), 2, "a/b: short; `run` sets it aside"),
        (Unfinished("2 models"), 1, "2 models"),
        (TakenOver("by them"), 1, "by them"),
        (KeyboardInterrupt(), 130, "stopped"),
        (Stopped(143), 143, "run the same command again"),
        (OSError(28, "No space left on device", "a/b"), 1, "a/b: No space left on device\nWhat is"),
        (RuntimeError("odd"), 1, ""),
    ],
)
def test_each_way_to_leave_has_a_code_and_a_message(error: BaseException, code: int, told: str):
    found, message = ending(error)
    assert found == code
    assert message.startswith(told) if not isinstance(error, Stopped) else told in message
    assert bool(message) == bool(told)


@pytest.mark.parametrize(("module", "name"), exception_classes())
def test_each_fault_has_its_exit_code_and_tells_its_message_as_it_is(module: str, name: str):
    error = one_of(module, name)
    code, message = ending(error)
    assert code == (2 if isinstance(error, UserFault | Corrupt) else getattr(error, "code", 1))
    if isinstance(error, UserFault | Unfinished | TakenOver):
        assert message == str(error)


def test_a_lost_cluster_is_one_message_and_a_fault_within_a_task_keeps_its_traceback():
    ray = pytest.importorskip("ray", reason="machines that only train have no Ray")
    code, message = ending(ray.exceptions.ActorDiedError())
    assert code == 1
    assert "cluster was lost" in message
    assert "ActorDiedError" in message
    assert "What is finished is kept" in message
    odd = ray.exceptions.RayTaskError("task", "a traceback", KeyError("odd"))
    assert ending(odd) == (1, "")
    full = ray.exceptions.RayTaskError("task", "a traceback", OSError(28, "No space left"))
    assert ending(full)[1].startswith("No space left")


def test_the_help_says_what_exit_codes_mean():
    out = " ".join(CliRunner().invoke(app, ["--help"]).output.split())
    assert all(f"{code}: {meaning.split()[0]}" in out for code, meaning in MEANINGS.items())


LEAVES = """
import sys, time
from runner.driver.exits import stoppable
with stoppable():
    try:
        print("ready", flush=True)
        time.sleep(60)
    finally:
        print("leaving", flush=True)
        time.sleep(float(sys.argv[1]))
"""


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_the_second_signal_leaves_at_once(second: signal.Signals):
    command = [sys.executable, "-c", LEAVES, "60"]
    with subprocess.Popen(command, cwd=HOUSE, stdout=-1, stderr=-1, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.terminate()
        assert process.stdout.readline() == "leaving\n"
        began = time.monotonic()
        process.send_signal(second)
        _, said = process.communicate(timeout=30)
    assert time.monotonic() - began < 10
    assert process.returncode == 128 + second
    assert said.count("stopping: workers write their checkpoints") == 1


def test_who_takes_too_long_to_leave_is_made_to():
    hasty = LEAVES.replace(
        "with stoppable", "import runner.driver.exits as l; l.LEAVE_S = 0.2\nwith stoppable"
    )
    command = [sys.executable, "-c", hasty, "60"]
    with subprocess.Popen(command, cwd=HOUSE, stdout=-1, stderr=-1, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.terminate()
        process.communicate(timeout=30)
    assert process.returncode == 143
