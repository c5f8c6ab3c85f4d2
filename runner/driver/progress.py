"""What a person sees while models train: one bar in a terminal, one line per change elsewhere."""

import time
from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from runner.driver.snapshot import Snapshot, remaining_s

QUIET_S = 5.0  # at least between two lines, where there is no terminal
MOST_QUIET_S = 60.0  # at most, whether anything changed or not
SHOWN = 4  # Runs in work that a line names; a large fleet has hundreds


def say(console: Console, text: str) -> None:
    """Print a line as it is: not wrapped, not coloured, its brackets left alone.

    Where there is no terminal it goes to a log, and says when.
    """
    if not console.is_terminal:
        text = f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}"
    console.print(text, highlight=False, soft_wrap=True, markup=False)


class Show:
    """Called with each state of the queue; says what changed.

    A log has lines for people, few of them: 5 s apart in the first minutes and a minute apart after
    the first hour, so a day of 2,000 models takes some 1,600.
    """

    def __init__(
        self,
        console: Console,
        saw: Callable[[Snapshot], object] = lambda state: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Args:
            saw: is given each state first.
            clock: in seconds.
        """
        self.console, self.saw, self.clock = console, saw, clock
        self.began = clock()
        self.last_line, self.last_done, self.last_at = "", -1, -MOST_QUIET_S
        self.told_notes = 0
        self.bar: Progress | None = None
        if console.is_terminal:
            self.bar = Progress(
                TextColumn("models"),
                BarColumn(),
                TextColumn("{task.description}"),
                TimeElapsedColumn(),
                console=console,
                transient=True,
            )
            self.bar.add_task("starting workers", total=None)
            self.bar.start()

    def __enter__(self) -> "Show":
        return self

    def __exit__(self, *error: object) -> None:
        """Take the bar away."""
        if self.bar:
            self.bar.stop()

    def __call__(self, state: Snapshot) -> None:
        self.saw(state)
        for note in state.notes[self.told_notes :]:
            say(self.console, f"note: {note}")
        self.told_notes = len(state.notes)
        line = describe(state)
        if self.bar:
            total = state.total or None  # with nothing to do yet, the bar only moves
            self.bar.update(
                self.bar.tasks[0].id, total=total, completed=_done(state), description=line
            )
            return
        since = self.clock() - self.last_at
        quiet = min(max(QUIET_S, (self.clock() - self.began) / 60), MOST_QUIET_S)
        all_done = state.done == state.total != self.last_done
        if (line != self.last_line and (since >= quiet or all_done)) or since >= MOST_QUIET_S:
            say(self.console, line)
            self.last_line, self.last_done, self.last_at = line, state.done, self.clock()


def describe(state: Snapshot) -> str:
    """Return the state in one line: done / to do, what is in work, and when it ends."""
    failed = f", {len(state.failed)} failed" if state.failed else ""
    words = [f"{work.run_id} {work.word}" for work in state.working.values()]
    more = [f"{len(words) - SHOWN} more"] if len(words) > SHOWN else []
    parts = [f"{state.done}/{state.total} models{failed}", *words[:SHOWN], *more]
    remaining = remaining_s(state)
    begins = not state.since_first_claim_s or (state.waiting and not state.stopped)
    if begins and not state.working and not state.lanes:
        parts.append("waiting for a node with room" if state.no_room else "starting workers")
    elif remaining:
        parts.append(f"ETA {duration(remaining)}")
    return " | ".join(parts)


def duration(seconds: float) -> str:
    """Return 75 as "1 min 15 s"."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


def _done(state: Snapshot) -> float:
    """The Runs that ended, and the finished parts of those in work."""
    parts = sum(work.part for work in state.working.values())
    return state.ended + parts
