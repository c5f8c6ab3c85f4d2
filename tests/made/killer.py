"""Steps that some Runs do not survive, or that wait for a test; workers import them by name."""

import os
import signal
import time

from runner.plan.plan import Run
from runner.train.workplace import Workplace


def kill_number_1(run: Run, place: Workplace) -> None:
    """Kill the process that works on model 1, every time."""
    if run.number == 1:
        os.kill(os.getpid(), signal.SIGKILL)


def hang_number_2(run: Run, place: Workplace) -> None:
    """Never come back from model 2."""
    if run.number == 2:
        time.sleep(3600)


def wait_for_go(run: Run, place: Workplace) -> None:
    """Stay in work until the test puts a file `go` into the storage."""
    while not (place.store.root / "go").exists():
        time.sleep(0.1)
