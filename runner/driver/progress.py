"""What a person sees while models train: one line in a terminal, one per change elsewhere."""

import math
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column

from attacks.wording import counted
from runner.driver.snapshot import Snapshot, remaining_s

QUIET_S = 5.0  # at least between two lines, where there is no terminal
MOST_QUIET_S = 60.0  # at most, whether anything changed or not
SHOWN = 4  # Runs in work that a line names; a large fleet has hundreds
ROOM = 80 - len("2026-11-30 21:43:49 ")  # columns of a log's line after its time
STAMP = "%Y-%m-%d %H:%M:%S"
HASH = re.compile(r"-[0-9a-f]{8}$")  # of a Run's id
BAR, ELAPSED = 10, len(" 0:00:00")  # columns beside a terminal's line


def say(console: Console, text: str) -> None:
    """Print a line as it is: not wrapped, not coloured, its brackets left alone.

    Where there is no terminal it goes to a log, and says when.
    """
    if not console.is_terminal:
        text = f"{time.strftime(STAMP)} {text}"
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
        called: Mapping[str, str] | None = None,
    ) -> None:
        """
        Args:
            saw: is given each state first.
            clock: in seconds.
            called: what to call Runs, by id: two arms may train alike by the name of their defense.
        """
        self.console, self.saw, self.clock, self.called = console, saw, clock, called or {}
        self.began = clock()
        self.last_line, self.last_done, self.last_at = "", -1, -MOST_QUIET_S
        self.told_notes = 0
        self.bar: Progress | None = None
        if console.is_terminal:
            one_line = Column(no_wrap=True, overflow="ellipsis")
            self.bar = Progress(
                BarColumn(BAR),
                TextColumn("{task.description}", markup=False, table_column=one_line),
                TimeElapsedColumn(Column(no_wrap=True)),
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
        if self.bar:
            total = _expected(state) or None  # with nothing to do yet, the bar only moves
            room = self.console.width - BAR - ELAPSED - 1
            self.bar.update(
                self.bar.tasks[0].id,
                total=total,
                completed=_done(state),
                description=describe(state, room, self.called),
            )
            return
        since = self.clock() - self.last_at
        quiet = min(max(QUIET_S, (self.clock() - self.began) / 60), MOST_QUIET_S)
        all_done = state.done == state.total != self.last_done
        if since < quiet and not all_done:
            return
        line = describe(state, ROOM, self.called)
        if line != self.last_line or since >= MOST_QUIET_S:
            say(self.console, line)
            self.last_line, self.last_done, self.last_at = line, state.done, self.clock()


def describe(
    state: Snapshot, width: float = math.inf, called: Mapping[str, str] | None = None
) -> str:
    """Return the state in one line: done / to do, what is in work, and when it ends.

    Args:
        width: columns at the most; fewer Runs are named, by fewer words, until the line fits.
        called: what to call Runs, by id.
    """
    lines = _lines(state, names(state, called or {}))
    return next((line for line in lines if len(line) <= width), line_of(state, [], terse=True))


def _lines(state: Snapshot, called: Mapping[str, str]) -> Iterator[str]:
    """The line in all its lengths, the longest first."""
    yield line_of(state, [f"{called[w.run_id]} {w.word}" for w in state.working.values()][:SHOWN])
    short = [f"{called[w.run_id]} {_briefly(w.word)}" for w in state.working.values()]
    for few in range(min(SHOWN, len(short)), 0, -1):
        yield line_of(state, short[:few], terse=True)


def line_of(state: Snapshot, words: Sequence[str], terse: bool = False) -> str:
    """Return the line that says so much of the Runs in work, and how many more there are."""
    counts, more = state.counts, len(state.working) - len(words)
    parts = [f"{counts.done}/{counted(counts.total, 'model')}"]
    parts[0] += f", {len(state.failed)} failed" if state.failed else ""
    parts[0] += f", {state.to_come:.0f} to come" if round(state.to_come) else ""
    parts += [*words, *([f"{more} {'more' if words else 'in work'}"] if more else [])]
    remaining = remaining_s(state)
    begins = not state.since_first_claim_s or (state.waiting and not state.stopped)
    if begins and not state.working and not state.lanes:
        parts.append("waiting for a node with room" if state.no_room else "starting workers")
    elif remaining:
        parts.append(f"ETA {(about if terse else duration)(remaining)}")
    return " | ".join(parts)


def names(state: Snapshot, called: Mapping[str, str]) -> dict[str, str]:
    """Return what to call the Runs in work: without the hash of their ids where they differ so.

    Args:
        called: what is known of their names.
    """
    ids = [work.run_id for work in state.working.values()]
    short = {run: called.get(run) or HASH.sub("", run) for run in ids}
    often = Counter(short.values())
    return {
        run: f"{name}-{run[-8:][:4]}" if often[name] > 1 else name for run, name in short.items()
    }


def _briefly(word: str) -> str:
    """A worker's word without what goes without saying: 3/24 0.513."""
    return re.sub(r"\b(epoch|loss) (?=[0-9])", "", word)


def duration(seconds: float) -> str:
    """Return 75 as "1 min 15 s"."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


def about(seconds: float) -> str:
    """Return 2514 as "42 min": what is estimated is not known to the second."""
    if seconds < 60:
        return f"{round(seconds)} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def _expected(state: Snapshot) -> float:
    """How many Runs there will have been at the end."""
    return state.counts.total + state.to_come


def _done(state: Snapshot) -> float:
    """The Runs that ended, and the finished parts of those in work."""
    parts = sum(work.part for work in state.working.values())
    return state.counts.total - state.counts.waiting - len(state.working) + parts
