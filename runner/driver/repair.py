"""How a command goes on: corrupt files are set aside and made again, a storage that is away is
waited for."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

from rich.console import Console

from runner.driver.driver import Driver
from runner.driver.exits import KEPT
from runner.driver.lock import hold
from runner.driver.progress import say
from runner.faults import Unfinished
from runner.storage import store
from runner.storage.cloud import Folder
from runner.storage.store import Corrupt, Store

MAX_ATTEMPTS = 20  # of one command before it gives up
MAX_RETURNS = 3  # of a storage that was away

Made = TypeVar("Made")
Tell = Callable[[str], object]


class MadeElsewhere(Exception):
    """What an attempt was about to read is being made again by another process."""


@contextmanager
def at_work(at: Store, folder: Folder, console: Console) -> Iterator[Driver]:
    """Hold a folder of a storage for a command and give its driver.

    Raises:
        Unfinished: the storage failed; everything finished is kept.
        StorageError, TakenOver, Stopped: as of `hold`.
    """
    try:
        with hold(folder, partial(say, console)) as driving:
            yield driving
    except BrokenPipeError:
        raise  # nobody reads what is printed
    except OSError as error:
        raise Unfinished(f"{_said(error, at)}\n{KEPT}") from error


def until_sound(attempt: Callable[[], Made], at: Store, tell: Tell) -> Made:
    """Return what an attempt returns that met nothing corrupt and a storage that was there.

    What is finished is skipped by the next one, so only what was set aside is made again.

    Args:
        at: the storage. When it is away it is waited for, `store.PATIENCE_S` at most, three times.
        tell: is given a note of what was set aside, unless another process was quicker, and of
            what is waited for.

    Raises:
        Unfinished: there was no end to it.
        OSError: the storage is full, or did not come back.
    """
    returns = 0
    for _ in range(MAX_ATTEMPTS):
        try:
            return attempt()
        except Corrupt as corrupt:
            _set_aside(corrupt, tell)
        except MadeElsewhere:
            continue
        except OSError as error:
            returns += 1
            if returns > MAX_RETURNS or not store.may_pass(error):
                raise
            tell(f"note: {_said(error, at)}; waits up to {store.PATIENCE_S:.0f} s for the storage")
            if not at.comes_back():
                raise
    raise Unfinished(f"{MAX_ATTEMPTS} corrupt files in a row below {at.root}: check the disk")


def set_aside_broken(folders: Iterable[Folder], tell: Tell) -> None:
    """Set aside each of these finished folders whose files are missing or cut short."""
    for folder in folders:
        try:
            store.facts(folder)
        except Corrupt as corrupt:
            _set_aside(corrupt, tell)


def _set_aside(corrupt: Corrupt, tell: Tell) -> None:
    if aside := store.set_aside(corrupt.path):
        tell(f"note: {corrupt}; set aside as {aside.name}, made again")


def _said(error: OSError, at: Store) -> str:
    return f"{error.filename or at.root}: {error.strerror or error}"
