"""What a person sees while models train: one bar in a terminal, one line per change elsewhere."""

import time

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from runner.queue import Snapshot

QUIET_S = 5.0  # at least between two lines, where there is no terminal


def say(console: Console, text: str) -> None:
    """Print a line as it is: not wrapped, not coloured, its brackets left alone."""
    console.print(text, highlight=False, soft_wrap=True, markup=False)


class Show:
    """Called with each state of the queue; says what changed."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.last_line, self.last_done, self.last_at = "", -1, 0.0
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

    def __call__(self, state: Snapshot) -> None:
        for note in state.notes[self.told_notes :]:
            say(self.console, f"note: {note}")
        self.told_notes = len(state.notes)
        line = describe(state)
        if self.bar:
            total = state.total or None  # with nothing to do yet, the bar only moves
            self.bar.update(
                self.bar.tasks[0].id, total=total, completed=_done(state), description=line
            )
        elif line != self.last_line and (
            time.monotonic() - self.last_at >= QUIET_S
            or state.done == state.total != self.last_done
        ):
            say(self.console, line)
            self.last_line, self.last_done, self.last_at = line, state.done, time.monotonic()

    def stop(self) -> None:
        """Take the bar away."""
        if self.bar:
            self.bar.stop()


def describe(state: Snapshot) -> str:
    """Return the state in one line: done / to do, what is in work, and when it ends."""
    failed = f", {len(state.failed)} failed" if state.failed else ""
    words = [f"{work.run_id} {work.word}" for work in state.working.values()]
    parts = [f"{state.done}/{state.total} models{failed}", *words]
    remaining = remaining_s(state)
    if not state.since_first_claim_s:
        parts.append("starting workers")
    elif remaining:
        parts.append(f"ETA {duration(remaining)}")
    return " | ".join(parts)


def remaining_s(state: Snapshot) -> float:
    """Return the seconds left if the rest goes as what is done went, or 0 when unknown.

    Runs are handed out model by model over all arms, so what is done is a fair sample.
    """
    done = _done(state)
    if not done:
        return 0.0
    return state.since_first_claim_s * (state.total - done) / done


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
