"""What stands in a terminal of 80 columns while a command runs, read off a real one."""

import contextlib
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from runner.driver import events
from runner.plan.work import Work
from tests.conftest import TINY
from tests.made.commands import HOUSE, without_ray, written
from tests.made.half_done import half_done, told

COLUMNS = 80
LOOKS, MOVES = re.compile(r"\x1b\[[0-9;]*m"), re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|[\r\n]")


def on_terminal(
    *words: str, env: Mapping[str, str], ends: Callable[[str], bool] = lambda shown: False
) -> tuple[int, list[str]]:
    """The exit code of a command, and all lines that stood in its terminal, its codes left out.

    Args:
        ends: whether a person who sees this presses Ctrl-C, once.
    """
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 30, COLUMNS, 0, 0))
    env = {key: value for key, value in env.items() if key not in ("COLUMNS", "LINES", "NO_COLOR")}
    shown, pressed = b"", False
    with subprocess.Popen(
        [sys.executable, "-m", "runner", *words],
        cwd=HOUSE,
        env=env | {"TERM": "xterm"},
        stdin=its,
        stdout=its,
        stderr=its,
    ) as one:
        os.close(its)
        with contextlib.suppress(OSError):  # nobody has the other end any more
            while part := os.read(ours, 1 << 16):
                shown += part
                if not pressed and (pressed := ends(shown.decode(errors="replace"))):
                    one.send_signal(signal.SIGINT)
        code = one.wait(timeout=60)
    os.close(ours)
    return code, [*filter(None, MOVES.split(LOOKS.sub("", shown.decode())))]


def test_a_watch_that_is_left_by_ctrl_c_says_nothing_of_a_stopped_experiment(work: Work):
    told(work.folder, half_done(work), at=events.now())
    command = ["status", "tiny", "--watch", "0.2", "--storage", str(work.store.root)]
    code, lines = on_terminal(*command, env=without_ray(), ends=lambda shown: "3/12" in shown)
    assert code == 130
    assert not [line for line in lines if "stopped" in line or "same command" in line], lines
    assert [line for line in lines if "running (training)" in line]


@pytest.mark.slow
@pytest.mark.ray("commands")
def test_a_run_shows_its_own_words_alone_and_one_line_of_80_columns(
    tmp_path: Path, cluster: dict[str, str]
):
    config = {**TINY, "robustness": {"attacks": {}}, "design": {"name": "pairs", "num_models": 6}}
    config["arms"] = {
        "one": {"defense": "erm"},
        "other": {"defense": "erm", "training": {"lr": 0.2}},
    }
    at = ["--storage", str(tmp_path / "storage")]
    code, lines = on_terminal("run", written(tmp_path, config), *at, env=cluster)
    assert code == 0, lines
    ours = (
        "0 of 12 models done",
        "  ok ",
        "note: ",
        "audit: ",
        "warning: ",
        "report: ",
        "checks: ",
    )
    bars = [line for line in lines if " models" in line and ("━" in line or "╺" in line)]
    begin = next(i for i, line in enumerate(lines) if line.startswith("audit: "))
    end = next(i for i, line in enumerate(lines) if line.startswith("- ") or line.strip() == "tiny")
    assert [line for line in lines[begin + 1 : end] if line.strip()] == [], "of Ray Data"
    assert not [line for line in lines if re.search(r"Dataset|ray::|Ray|WARN|pid=", line)][1:]
    assert bars
    assert max(len(line) for line in lines if not line.startswith(ours)) <= COLUMNS
