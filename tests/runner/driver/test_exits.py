"""Exit codes, and the message of each; a signal as a process gets it."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from runner.__main__ import app
from runner.driver.exits import MEANINGS, STOPPING, UNREAD, ending
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


TALKS = """
import sys, time
from pathlib import Path
from contextlib import nullcontext
from runner.driver.exits import Output, complaints
from runner.driver.lock import hold
from runner.driver.progress import say
how, folder = sys.argv[1:]
with complaints(), hold(Path(folder), print) if how == "held" else nullcontext():
    for number in range(10**9):
        if how == "print":
            print(number, flush=True)
        else:
            say(Output(), f"line {number}")
        time.sleep(0.001)
"""


def talks(how: str, folder: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", TALKS, how, str(folder)]
    return subprocess.Popen(command, cwd=HOUSE, stdout=-1, stderr=-1, text=True)


@pytest.mark.parametrize("how", ["print", "say"])
def test_a_pipe_whose_reader_is_gone_ends_a_command_quietly(tmp_path: Path, how: str):
    with talks(how, tmp_path) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        said = process.stderr.read()
    assert (process.returncode, said) == (UNREAD, "")


def test_a_pipe_whose_reader_is_gone_stops_what_has_begun_in_order(tmp_path: Path):
    with talks("held", tmp_path) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        said = process.stderr.read()
    assert process.returncode == 143
    told = "runner: stopped; run the same command again to go on from here\n"
    assert said == STOPPING.decode() + told
    assert json.loads((tmp_path / "driver.json").read_text())["ended"] == 143


def test_ctrl_c_before_anything_began_speaks_of_nothing_to_go_on_with(tmp_path: Path):
    with talks("say", tmp_path) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (130, "runner: stopped\n")


@pytest.mark.parametrize("words", [["--json"], []])
def test_a_watch_that_is_left_says_nothing_of_a_stop(tmp_path: Path, words: list[str]):
    """It is left as one leaves `watch`; the experiment that it looked at goes on."""
    (tmp_path / "experiments" / "x").mkdir(parents=True)
    command = ["status", "later", "--watch", "0.1", "--storage", str(tmp_path), *words]
    with subprocess.Popen(
        [sys.executable, "-m", "runner", *command],
        cwd=HOUSE,
        stdout=-1,
        stderr=-1,
        text=True,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        out, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (130, "")
    assert "stopped" not in out
