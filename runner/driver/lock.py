"""One driver at a time in the folder of an experiment, a sweep or an audit.

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
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attacks import origin
from runner.driver import driver
from runner.driver.driver import Driver, age_s, read, who
from runner.driver.exits import DONE, KEPT, REFUSED, ending, stoppable
from runner.faults import TakenOver, Unfinished, UserFault
from runner.storage import store
from runner.storage.cloud import Folder
from runner.storage.store import Corrupt, StorageError

LOCK = "LOCK"
STALE_S = 30.0  # a driver that was not heard of for so long is taken for dead
LONG_S = 600.0  # by the clock, which may differ between hosts: no need to watch such a one
SETTLE_S = 2.0  # from a claim without a lock until it is read back
SPARE = 1 << 18  # bytes that a driver has on its disk, to say on a full one how it ended
NO_LOCKS = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}


@contextmanager
def hold(folder: Folder, say: Callable[[str], object]) -> Iterator[Driver]:
    """Hold a folder and give its driver, which is told what to tell; signals stop it in order.

    Args:
        say: prints a line; the driver's `tell` does it too.

    Raises:
        StorageError: another driver holds it.
        TakenOver: another driver came in later; everything finished is kept.
        Stopped: by Ctrl-C or SIGTERM.
    """
    driving = Driver(folder, say)
    left, code, why = threading.Event(), DONE, ""
    with _locked(folder) as locked:
        wait_until_free(folder, locked, say)
        _keep_spare(folder)
        driving.follow(read(driving.path))
        driving.write()
        if not locked:
            time.sleep(SETTLE_S)
            if not _is_own(driving):
                raise _refusal(folder, read(driving.path))
        interrupts = threading.current_thread() is threading.main_thread()

        def beat() -> None:
            while not left.wait(driver.BEAT_S):
                if not driving.beat():
                    if interrupts:
                        os.kill(os.getpid(), signal.SIGTERM)
                    return

        heart = threading.Thread(target=beat, name="heartbeat", daemon=True)
        try:
            with stoppable():
                heart.start()
                yield driving
            with contextlib.suppress(OSError):
                (folder / store.TRACEBACK).unlink(missing_ok=True)  # of an earlier driver
        except BaseException as error:
            ended = _begun(error, folder)
            code, why = ending(ended)
            why = why or f"{type(error).__name__}: {error}"
            if driving.taken_over:
                raise TakenOver(driving.taken_over) from None
            if ended is error:
                raise
            raise ended from error
        finally:
            left.set()
            heart.join()
            with contextlib.suppress(OSError):
                if isinstance(folder, Path):  # the disk may be full
                    os.truncate(folder / LOCK, 0)
                if _is_own(driving):
                    driving.write(code, why)


def _begun(error: BaseException, folder: Folder) -> BaseException:
    """What a command that has begun ends with: nothing that says that nothing was started.

    Of an error in a user's file the folder keeps the traceback.
    """
    if isinstance(error, UserFault | Corrupt):
        error.begun = True
    elif ending(error)[0] == REFUSED:
        kept = store.keep_traceback(folder, origin.trace(error))
        return Unfinished("\n".join(filter(None, [origin.told(error), kept, KEPT])))
    return error


def wait_until_free(
    folder: Folder,
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
    found = read(folder / driver.FILE)
    if _over(found, locked, now()):
        return
    assert found is not None
    say(f"{who(found)} has not ended; taken for dead if not heard of for {STALE_S:g} s: waiting")
    began = clock()
    while clock() - began < STALE_S:
        sleep(driver.BEAT_S / 2)
        seen = read(folder / driver.FILE)
        if _over(seen, locked, now()):
            return
        assert seen is not None
        if (seen["id"], seen["at"]) != (found["id"], found["at"]):
            raise _refusal(folder, seen)


def _is_own(driving: Driver) -> bool:
    """Whether nobody else's driver.json is there."""
    found = read(driving.path)
    return found is None or found["id"] == driving.id


def _over(found: dict[str, Any] | None, locked: bool, now: float) -> bool:
    """Whether no driver lives, without a further look."""
    return (
        found is None
        or found["ended"] is not None
        or (locked and found["host"] == socket.gethostname())
        or age_s(found, now) > LONG_S
    )


@contextmanager
def _locked(folder: Folder) -> Iterator[bool]:
    """Hold the folder's lock; False where the storage has none."""
    if not isinstance(folder, Path):
        yield False
        return
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("ab", buffering=0) as file:
        locked = True
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _refusal(folder, read(folder / driver.FILE)) from None
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            locked = False
        yield locked


def _keep_spare(folder: Folder) -> None:
    """Let the lock's file hold bytes that a full disk gives back."""
    if isinstance(folder, Path):
        with contextlib.suppress(OSError):
            (folder / LOCK).write_bytes(bytes(SPARE))


def _refusal(folder: Folder, found: dict[str, Any] | None) -> StorageError:
    holder = who(found) if found and found["ended"] is None else "another driver"
    return StorageError(
        f"{folder}: {holder} works on it; wait for it (`runner status` says how far it is) or stop "
        "it, or choose another name or --storage"
    )
