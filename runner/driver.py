"""One driver at a time in the folder of an experiment, a sweep or an audit; it tells how it is.

On a local folder a driver holds the lock of a file, which ends with its process: a dead one holds
nothing. Not all storage has locks that all nodes see, so each driver also writes driver.json every
BEAT_S seconds. Where the lock says nothing, on S3 and for drivers of other hosts, whoever finds
that file unchanged for STALE_S seconds takes the folder.

Two may still get in: by claims within a second of each other on S3, or when the storage was away
for longer than STALE_S. They corrupt nothing. Every file is written whole, DONE is written last,
and a Run's bytes that do not match its DONE are found out and made again. Who finds the
other's driver.json in place of its own leaves.
"""

import contextlib
import errno
import fcntl
import json
import os
import signal
import socket
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner import store
from runner.leaving import DONE, TakenOver, ending, stoppable
from runner.progress import remaining_s
from runner.store import StorageError

if TYPE_CHECKING:
    from runner.queue import Snapshot

FILE = "driver.json"
BEAT_S = 5.0
STALE_S = 30.0  # a driver that was not heard of for so long is taken for dead
LONG_S = 600.0  # by the clock, which may differ between hosts: no need to watch such a one
SETTLE_S = 2.0  # from a claim without a lock until it is read back
NOTES = 20  # the last ones are kept
NO_LOCKS = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}


class Driver:
    """What the driver of a folder tells of itself."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self.id = uuid.uuid4().hex[:12]
        self.taken_over = ""  # by whom
        self._stage, self._since = "starting", _now()
        self._state: Snapshot | None = None
        self._settings: dict[str, int] | None = None
        self._notes: list[str] = []

    def enter(self, stage: str) -> None:
        """Say what is done from now on, such as "training"."""
        self._stage = stage

    def saw(self, state: "Snapshot") -> None:
        """Take in the state of the queue."""
        self._state = state

    def note(self, text: str) -> None:
        """Keep a sentence; the last NOTES of them are told."""
        self._notes.append(text)

    def count_settings(self, total: int, ended: int) -> None:
        """Say how far a sweep is."""
        self._settings = {"total": total, "ended": ended}

    def write(self, ended: int | None = None, why: str = "") -> None:
        """Write driver.json; docs/store.md has its keys."""
        state = self._state
        facts = {
            "id": self.id,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "command": sys.argv[1:],
            "since": self._since,
            "at": _now(),
            "every_s": BEAT_S,
            "stage": self._stage,
            "ended": ended,
            "why": why,
            "models": state
            and {
                "total": state.total,
                "done": state.done,
                "failed": len(state.failed),
                "waiting": state.waiting,
            },
            "settings": self._settings,
            "working": {
                worker: {"run": work.run_id, "word": work.word, "part": work.part}
                for worker, work in (state.working.items() if state and ended is None else ())
            },
            "failed": state.failed if state else {},
            "remaining_s": round(remaining_s(state)) if state and ended is None else None,
            "notes": [*self._notes, *(state.notes if state else ())][-NOTES:],
        }
        store.write_json(self.path, facts)

    def beat(self) -> bool:
        """Write driver.json again; False if another driver's is there in its place."""
        with contextlib.suppress(OSError):  # the storage is away; the next one may come through
            found = read(self.path)
            if found and found["id"] != self.id:
                self.taken_over = (
                    f"{self.path.parent}: {_who(found)} has taken over, so this one left; "
                    "what is finished is kept"
                )
                return False
            self.write()
        return True


@contextmanager
def hold(folder: Path, say: Callable[[str], object]) -> Iterator[Driver]:
    """Hold a folder and give its driver, which is told what to tell; signals stop it in order.

    Args:
        say: prints a line.

    Raises:
        StorageError: another driver holds it.
        TakenOver: another driver came in later; everything finished is kept.
        Stopped: by Ctrl-C or SIGTERM.
    """
    driver = Driver(folder)
    left, code, why = threading.Event(), DONE, ""
    with _locked(folder) as locked:
        wait_until_free(folder, locked, say)
        driver.write()
        if not locked:
            time.sleep(SETTLE_S)
            found = read(driver.path)
            if found and found["id"] != driver.id:
                raise _refusal(folder, found)
        interrupts = threading.current_thread() is threading.main_thread()

        def beat() -> None:
            while not left.wait(BEAT_S):
                if not driver.beat():
                    if interrupts:
                        os.kill(os.getpid(), signal.SIGTERM)
                    return

        heart = threading.Thread(target=beat, name="heartbeat", daemon=True)
        try:
            with stoppable():
                heart.start()
                yield driver
        except BaseException as error:
            code, why = ending(error)
            why = why or f"{type(error).__name__}: {error}"
            if driver.taken_over:
                raise TakenOver(driver.taken_over) from None
            raise
        finally:
            left.set()
            heart.join(BEAT_S)
            if not driver.taken_over:
                with contextlib.suppress(OSError):
                    driver.write(code, why)


def read(path: Path) -> dict[str, Any] | None:
    """Return what a driver.json says; None if there is none that can be read."""
    try:
        found = json.loads(path.read_bytes())
        return found if found["id"] and found["at"] else None
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
        return None


def age_s(found: dict[str, Any], now: float) -> float:
    """Return the seconds since a driver was last heard of, at a UNIX time."""
    return now - datetime.fromisoformat(found["at"]).timestamp()


def wait_until_free(
    folder: Path,
    locked: bool,
    say: Callable[[str], object],
    sleep: Callable[[float], object] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
    now: Callable[[], float] = time.time,
) -> None:
    """Return when a folder's driver has ended or was not heard of for STALE_S.

    That is judged by whether driver.json changes while this process looks: clocks of hosts differ.

    Args:
        locked: whether this process has the folder's lock: then none on this host holds it.

    Raises:
        StorageError: its driver is alive.
    """
    found = read(folder / FILE)
    if _over(found, locked, now()):
        return
    assert found is not None
    say(f"{_who(found)} has not ended; taken for dead if not heard of for {STALE_S:g} s: waiting")
    began = clock()
    while clock() - began < STALE_S:
        sleep(BEAT_S / 2)
        seen = read(folder / FILE)
        if _over(seen, locked, now()):
            return
        assert seen is not None
        if (seen["id"], seen["at"]) != (found["id"], found["at"]):
            raise _refusal(folder, seen)


def _over(found: dict[str, Any] | None, locked: bool, now: float) -> bool:
    """Whether no driver lives, without a further look."""
    return (
        found is None
        or found["ended"] is not None
        or (locked and found["host"] == socket.gethostname())
        or age_s(found, now) > LONG_S
    )


@contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Hold the folder's lock; False where the storage has none."""
    if not isinstance(folder, Path):
        yield False
        return
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "LOCK").open("w") as file:
        locked = True
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _refusal(folder, read(folder / FILE)) from None
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            locked = False
        yield locked


def _refusal(folder: Path, found: dict[str, Any] | None) -> StorageError:
    who = _who(found) if found and found["ended"] is None else "another driver"
    return StorageError(
        f"{folder}: {who} works on it; wait for it (`runner status` says how far it is) or stop "
        "it, or choose another name or --storage"
    )


def _who(found: dict[str, Any]) -> str:
    return f"another driver (process {found['pid']} on {found['host']}, since {found['since']})"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
