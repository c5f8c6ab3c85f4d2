"""What a driver says in driver.json of how far it is, and of its end."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from runner.driver import driver
from runner.driver.driver import read
from runner.driver.exits import ending
from runner.driver.lock import hold
from runner.driver.snapshot import Claim, Snapshot
from runner.faults import Stopped
from runner.storage.store import Corrupt, StorageError
from tests.conftest import fill, small_disk


def test_it_tells_how_far_it_is_and_how_it_ended(tmp_path: Path):
    working = {"l/0": Claim("erm-m001", "epoch 1/2 loss 0.7", 0.5, ticket=1)}
    state = Snapshot(4, 1, {"erm-m002": "why"}, working, ["a note"], 1, "", 30.0, True, 4.0, 2.0)
    state = state._replace(to_come=1.5)
    with hold(tmp_path, print) as driving:
        driving.enter("training")
        driving.note("first")
        driving.saw(state)
        assert driving.beat()
        found = read(tmp_path / driver.FILE)
        assert found is not None
        assert (found["pid"], found["stage"], found["ended"]) == (os.getpid(), "training", None)
        counts = {"total": 4, "done": 1, "failed": 1, "waiting": 1, "to_come": 2}
        assert found["models"] == counts
        told = {"run": "erm-m001", "word": "epoch 1/2 loss 0.7", "part": 0.5, "losses": [0.7]}
        assert found["working"] == {"l/0": told}
        assert found["failed"] == {"erm-m002": "why"}
        assert found["remaining_s"] == round(30 * (1.5 + 1.5) / 2.5)
        assert [e["text"] for e in found["events"]] == ["first", "a note", "erm-m002 failed: why"]
        assert abs(driver.age_s(found, time.time())) < 60
    found = read(tmp_path / driver.FILE)
    assert found is not None
    assert (found["ended"], found["working"], found["remaining_s"]) == (0, {}, None)
    assert found["failed"] == {"erm-m002": "why"}


@pytest.mark.parametrize(
    "error", [StorageError("full"), RuntimeError("odd"), OSError("gone"), Corrupt("a", "short")]
)
def test_an_error_that_ends_it_is_told_and_never_says_that_nothing_was_started(
    tmp_path: Path, error: Exception
):
    with pytest.raises(type(error)), hold(tmp_path, print):
        raise error
    found = read(tmp_path / driver.FILE)
    assert found is not None
    assert found["ended"] == ending(error)[0] == 1
    assert str(error) in found["why"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_stops_it_in_order(tmp_path: Path, number: signal.Signals, code: int):
    before = signal.getsignal(number)

    def work() -> None:
        with hold(tmp_path, print):
            signal.raise_signal(number)
            raise AssertionError("the signal is raised here")

    with pytest.raises(Stopped) as stopped:
        work()
    assert stopped.value.code == code
    found = read(tmp_path / driver.FILE)
    assert found is not None
    assert found["ended"] == code
    assert signal.getsignal(number) is before
    assert not [t for t in threading.enumerate() if t.name == "heartbeat"]


def test_a_driver_can_say_how_it_ended_on_a_disk_that_is_full(tmp_path: Path):
    folder = tmp_path / "folder"
    with small_disk(folder, "1m"):
        with pytest.raises(OSError, match="No space left"), hold(folder, print):
            fill(folder)
        found = read(folder / driver.FILE)
    assert found is not None
    assert found["ended"] == 1
    assert "No space left" in found["why"]
