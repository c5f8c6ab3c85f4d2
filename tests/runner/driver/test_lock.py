"""Who holds a folder, by lock and by driver.json; time is passed in."""

import json
import os
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from runner.driver import driver, lock
from runner.driver.driver import Driver, read
from runner.driver.lock import LONG_S, STALE_S, hold, wait_until_free
from runner.faults import TakenOver
from runner.storage.store import StorageError, write_json

NOW = 1_000_000_000.0  # 2001-09-09T01:46:40+00:00
AT = "2001-09-09T01:46:40+00:00"


def told(folder: Path, **changes: Any) -> dict[str, Any]:
    """A driver.json of another host, just written."""
    one = Driver(folder)
    one.write()
    facts = json.loads(one.path.read_bytes()) | {"host": "elsewhere", "at": AT} | changes
    write_json(one.path, facts)
    return facts


class Clock:
    """Time that passes by sleeping; `events` happen on the way, by the second."""

    def __init__(self, events: dict[float, Any] | None = None) -> None:
        self.s, self.events = 0.0, events or {}

    def sleep(self, seconds: float) -> None:
        self.s += seconds
        for at in [at for at in self.events if at <= self.s]:
            self.events.pop(at)()

    def wait(self, folder: Path, locked: bool = False, passed: float = 0.0) -> list[str]:
        """What is said until the folder is free."""
        said: list[str] = []

        def now() -> float:
            return NOW + passed + self.s

        wait_until_free(folder, locked, said.append, self.sleep, lambda: self.s, now)
        return said


def test_a_free_folder_is_taken_without_a_word(tmp_path: Path):
    clock = Clock()
    assert clock.wait(tmp_path) == []
    told(tmp_path, ended=143)
    assert clock.wait(tmp_path) == []
    assert clock.s == 0


def test_a_file_that_is_no_driver_json_holds_nothing(tmp_path: Path):
    for content in (b"", b"[]", b'{"id": 1', b"{}"):
        (tmp_path / driver.FILE).write_bytes(content)
        assert read(tmp_path / driver.FILE) is None
        assert Clock().wait(tmp_path) == []


def test_a_driver_that_writes_on_is_not_disturbed(tmp_path: Path):
    told(tmp_path)
    clock = Clock({5: lambda: told(tmp_path, id="theirs", at="2001-09-09T01:46:45+00:00")})
    with pytest.raises(StorageError, match=r"on elsewhere, since .*wait for it .*or stop it"):
        clock.wait(tmp_path)
    assert clock.s <= 7.5


def test_a_clock_that_is_wrong_lets_nobody_in(tmp_path: Path):
    """The other host's clock is five minutes behind: what counts is that the file changes."""
    told(tmp_path)
    clock = Clock({5: lambda: told(tmp_path, at="2001-09-09T01:46:45+00:00")})
    with pytest.raises(StorageError, match="another driver"):
        clock.wait(tmp_path, passed=300)


def test_a_driver_that_is_silent_is_waited_for_and_then_taken_for_dead(tmp_path: Path):
    told(tmp_path)
    clock = Clock()
    (said,) = clock.wait(tmp_path)
    assert "on elsewhere" in said
    assert "30 s" in said
    assert STALE_S <= clock.s < STALE_S + driver.BEAT_S


def test_one_that_ends_while_it_is_waited_for_makes_way_at_once(tmp_path: Path):
    facts = told(tmp_path)
    clock = Clock({5: lambda: write_json(tmp_path / driver.FILE, facts | {"ended": 0})})
    clock.wait(tmp_path)
    assert clock.s == 5


def test_a_driver_that_was_silent_for_long_is_not_waited_for(tmp_path: Path):
    told(tmp_path)
    clock = Clock()
    assert clock.wait(tmp_path, passed=LONG_S + 1) == []
    assert clock.s == 0


def test_the_lock_tells_that_no_driver_of_this_host_lives(tmp_path: Path):
    told(tmp_path, host=socket.gethostname())
    assert Clock().wait(tmp_path, locked=True) == []
    told(tmp_path, host="elsewhere")
    assert len(Clock().wait(tmp_path, locked=True)) == 1


def test_a_second_driver_is_told_who_holds_the_folder(tmp_path: Path):
    with (
        hold(tmp_path / "new", print),
        pytest.raises(StorageError, match=f"process {os.getpid()} on .*--storage"),
        hold(tmp_path / "new", print),
    ):
        raise AssertionError("never entered")
    with hold(tmp_path / "new", print):  # and after the first one left
        pass


def test_whoever_finds_anothers_file_in_place_of_its_own_leaves_and_lets_it_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(driver, "BEAT_S", 0.01)
    facts = told(tmp_path / "theirs")

    def work() -> None:
        with hold(tmp_path, print):
            while True:  # as a driver does that lives
                write_json(tmp_path / driver.FILE, facts)
                threading.Event().wait(0.05)

    with pytest.raises(TakenOver, match=r"elsewhere.* has taken over"):
        work()
    assert read(tmp_path / driver.FILE) == facts


class Bucket:
    """A folder of a storage without locks: all that a driver asks of a path, over a real folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __truediv__(self, name: str) -> Path:
        return self.path / name


def test_without_locks_one_that_claims_at_the_same_time_wins_or_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder: Any = Bucket(tmp_path)
    monkeypatch.setattr(lock, "SETTLE_S", 0.01)
    with hold(folder, print) as driving:
        found = read(tmp_path / driver.FILE)
        assert found is not None
        assert found["id"] == driving.id
    monkeypatch.setattr(lock.time, "sleep", lambda s: told(tmp_path, id="theirs"))
    with pytest.raises(StorageError, match="on elsewhere"), hold(folder, print):
        raise AssertionError("never entered")
    assert not (tmp_path / "LOCK").exists()
