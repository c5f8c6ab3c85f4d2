"""Which Runs are to do, in work, done and failed. A plain class; the fleet makes it a Ray actor."""

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

WAIT = "wait"  # nothing to hand out now, but there may be: ask again
MAX_DEATHS = 2  # a Run whose process died so often is not tried again


class Work(NamedTuple):
    """One Run in work."""

    run_id: str
    word: str  # its worker's last
    part: float  # of it that is done, in [0, 1]


class Snapshot(NamedTuple):
    """What people see of a queue."""

    total: int
    done: int
    failed: dict[str, str]  # run id -> reason
    working: dict[str, Work]  # by worker
    notes: list[str]
    waiting: int
    stopped: str  # why nothing more is handed out, or ""
    since_first_claim_s: float


class RunQueue:
    """Hands each Run to one worker at a time.

    A worker that claims again while it still holds a Run has died and come back; a lane that ended
    releases what its workers held. Such a Run is a suspect: it is handed out again, but only one
    suspect at a time, so that a Run which kills its process drags no innocent one along twice.
    """

    def __init__(self, run_ids: Sequence[str], materials: Any = None) -> None:
        self._total = len(run_ids)
        self._waiting = list(run_ids)
        self._held: dict[str, Work] = {}  # by worker
        self._deaths: dict[str, int] = {}
        self._done: set[str] = set()
        self._failed: dict[str, str] = {}
        self._notes: list[str] = []
        self._stopped = ""
        self._started = 0.0
        self._materials = materials

    def materials(self) -> Any:
        """Return what every worker needs besides; the same object for all."""
        return self._materials

    def claim(self, worker: str) -> str | None:
        """Return the next Run's id for a worker, WAIT, or None when there is nothing left to do."""
        self._died(worker)
        self._started = self._started or time.monotonic()
        if self._stopped:
            return None
        suspect_in_work = any(work.run_id in self._deaths for work in self._held.values())
        for run_id in self._waiting:
            if not (suspect_in_work and run_id in self._deaths):
                self._waiting.remove(run_id)
                self._held[worker] = Work(run_id, "starts", 0.0)
                return run_id
        return WAIT if self._waiting else None

    def tell(self, worker: str, word: str, part: float) -> None:
        """Note a worker's last word on its Run, and how much of it is done."""
        if worker in self._held:
            self._held[worker] = self._held[worker]._replace(word=word, part=part)

    def note(self, text: str) -> None:
        """Keep a sentence for the end of the run."""
        self._notes.append(text)

    def finish(self, worker: str, run_id: str) -> None:
        """Count a Run as done."""
        self._held.pop(worker, None)
        self._done.add(run_id)

    def fail(self, worker: str, run_id: str, reason: str, everywhere: bool = False) -> None:
        """Count a Run as failed; `everywhere` says that every other one would fail for that too."""
        self._held.pop(worker, None)
        self._failed[run_id] = reason
        if everywhere:
            self._stopped = reason

    def release(self, lane: str) -> None:
        """Take back what the workers of an ended lane still hold."""
        for worker in [w for w in self._held if w.split("/")[0] == lane]:
            self._died(worker)

    def snapshot(self) -> Snapshot:
        """Return the present state."""
        since = time.monotonic() - self._started if self._started else 0.0
        return Snapshot(
            self._total,
            len(self._done),
            dict(self._failed),
            dict(self._held),
            list(self._notes),
            len(self._waiting),
            self._stopped,
            since,
        )

    def _died(self, worker: str) -> None:
        work = self._held.pop(worker, None)
        if work is None:
            return
        run_id = work.run_id
        self._deaths[run_id] = self._deaths.get(run_id, 0) + 1
        if self._deaths[run_id] < MAX_DEATHS:
            self._waiting.append(run_id)
            self._notes.append(f"{run_id}: its worker died; tried again from its last checkpoint")
        else:
            self._failed[run_id] = f"its worker died {MAX_DEATHS} times; not tried again"
