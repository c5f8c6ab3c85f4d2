"""How a command leaves: what its exit code means, what it says, and what a signal does to it."""

import errno
import os
import select
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from rich.console import Console

from attacks import origin
from runner.faults import Stopped, TakenOver, Unfinished, UserFault
from runner.storage.store import Corrupt

DONE, UNFINISHED, REFUSED, INTERRUPTED, UNREAD, TERMINATED = 0, 1, 2, 130, 141, 143
MEANINGS = {
    DONE: "done",
    UNFINISHED: "something failed or was not finished; what is finished is kept, and the same "
    "command goes on",
    REFUSED: "the request is wrong or was refused; nothing was started or written",
    INTERRUPTED: "stopped by Ctrl-C; the same command goes on",
    UNREAD: "whoever read what it printed is gone, as `| head` is",
    TERMINATED: "stopped by SIGTERM, as `ray job stop` does, or as nobody reads what is printed; "
    "the same command goes on",
}
KEPT = "What is finished is kept; mend the cause and run the same command again."
LEAVE_S = 20.0  # after a signal; workers take up to 15 s for their checkpoints
STOPPING = b"runner: stopping: workers write their checkpoints; a second signal leaves at once\n"


def ending(error: BaseException) -> tuple[int, str]:
    """Return the exit code that an error means, and what a person is told of it.

    Returns:
        The message is "" for what nobody expected: that has a traceback.
    """
    cause = getattr(error, "cause", None)
    error = cause if isinstance(cause, Exception) else error  # of a task of Ray
    if isinstance(error, Stopped):
        return error.code, "stopped; run the same command again to go on from here"
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED, "stopped"
    refused = UNFINISHED if getattr(error, "begun", False) else REFUSED
    if isinstance(error, UserFault):
        return refused, str(error)
    if isinstance(error, Corrupt):
        return refused, f"{error}; `run` sets it aside and makes it again"
    if isinstance(error, Unfinished | TakenOver):
        return UNFINISHED, str(error)
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        return UNFINISHED, f"{place}{error.strerror or error}\n{KEPT}"
    # By their names: `check` and `status` must not wait for an import of Ray.
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if "RayError" in kinds and "RayTaskError" not in kinds:
        first = (str(error).strip().splitlines() or [""])[0]
        lost = "the cluster was lost, or a part of it that this command needs"
        return UNFINISHED, f"{lost} ({type(error).__name__}: {first})\n{KEPT}"
    if origin.lines(error):
        return refused, origin.in_full(error)
    return UNFINISHED, ""


@contextmanager
def complaints() -> Iterator[None]:
    """Print what a user can mend as one message, without a traceback, and exit with its code.

    Where nobody reads what is printed any more, nothing is said.
    """
    try:
        yield
    except (Exception, KeyboardInterrupt, SystemExit) as error:
        if origin.leaves(error):
            raise
        if isinstance(error, BrokenPipeError) and unread():
            _to_nowhere()
            sys.exit(UNREAD)
        code, message = ending(error)
        if not message:
            raise
        with suppress(BrokenPipeError):
            print(f"runner: {message}", file=sys.stderr, flush=True)
        sys.exit(code)


def unread() -> bool:
    """Whether standard output is a pipe whose reader is gone."""
    poll = select.poll()
    try:
        poll.register(sys.stdout.fileno(), 0)
        return any(event & select.POLLERR for _, event in poll.poll(0))
    except (OSError, ValueError):  # it is no file, as in a test, or closed
        return False


class Output(Console):
    """The terminal or log that a command prints to; a pipe whose reader is gone stops it."""

    def on_broken_pipe(self) -> None:
        """Stop in order where something has begun, which a signal does in any thread; else raise.

        Raises:
            BrokenPipeError: nothing had begun.
        """
        if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
            raise BrokenPipeError(errno.EPIPE, "nobody reads what is printed")
        _to_nowhere()
        os.kill(os.getpid(), signal.SIGTERM)


def _to_nowhere() -> None:
    """Let what is still to be printed go nowhere: Python would complain of it when it ends."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def stoppable() -> Iterator[None]:
    """Let SIGTERM, which stops a submitted job, end things as Ctrl-C does, in LEAVE_S at most.

    The second signal leaves at once. A handler raises KeyboardInterrupt and the exit code is added
    here: what it raises within `ray.get` arrives as another object, SystemExit(143) as
    SystemExit(1). Outside of the main thread, which no signal reaches, this does nothing.

    Raises:
        Stopped: with the exit code.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    hurry: list[threading.Timer] = []

    def stop(number: int, frame: object) -> None:
        if came:
            os._exit(128 + number)
        came.append(number)
        os.write(2, STOPPING)  # print() may be in the middle of a line
        timer = threading.Timer(LEAVE_S, os._exit, [128 + number])
        timer.daemon = True
        timer.start()
        hurry.append(timer)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except KeyboardInterrupt:
        raise Stopped(128 + came[0] if came else INTERRUPTED) from None
    finally:
        for timer in hurry:
            timer.cancel()
        for number, earlier in before.items():
            signal.signal(number, earlier)
