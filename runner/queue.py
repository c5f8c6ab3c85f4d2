"""Which Runs are to do, in work, done and failed. A plain class; the fleet makes it a Ray actor."""

import time
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

MAX_DEATHS = 2  # a Run that killed its process so often is not tried again
MAX_REPAIRS = 3  # nor one whose files were found corrupt so often


class Claim(NamedTuple):
    """One Run in work."""

    run_id: str
    word: str  # its worker's last
    part: float  # of it that is done, in [0, 1]


class Snapshot(NamedTuple):
    """What people see of a queue."""

    total: int
    done: int
    failed: dict[str, str]  # run id -> reason
    working: dict[str, Claim]  # by worker
    notes: list[str]
    waiting: int
    stopped: str  # why nothing more is handed out, or ""
    since_first_claim_s: float


class RunQueue:
    """Hands each Run to one worker at a time; workers are named lane/rank.

    A worker that claims again while it holds a Run was torn down and came back, and a lane that
    ended releases what its workers held: such a Run is handed out again. Only the worker that the
    lane blames died of itself, so a Run that kills its process is given up and drags no innocent
    one of the same lane along.
    """

    def __init__(self, run_ids: Sequence[str], materials: Any = None) -> None:
        self._total = len(run_ids)
        self._waiting = list(run_ids)
        self._held: dict[str, Claim] = {}  # by worker
        self._deaths: Counter[str] = Counter()
        self._repairs: Counter[str] = Counter()
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
        """Return the next Run's id for a worker, or None when nothing waits."""
        self._put_back(worker)
        self._started = self._started or time.monotonic()
        if self._stopped or not self._waiting:
            return None
        run_id = self._waiting.pop(0)
        self._held[worker] = Claim(run_id, "starts", 0.0)
        return run_id

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

    def repair(self, worker: str, run_id: str, note: str) -> None:
        """Hand a Run out again, since files of it were corrupt and are set aside now."""
        self._notes.append(note)
        self._repairs[run_id] += 1
        if self._repairs[run_id] > MAX_REPAIRS:
            self.fail(worker, run_id, f"corrupt again and again, check the disk: {note}")
        else:
            self._put_back(worker)

    def blame(self, worker: str) -> None:
        """Note that a worker died of itself, and was not torn down with its lane."""
        if worker not in self._held:
            self._notes.append(f"{worker}: the worker died between two Runs")
            return
        run_id = self._held[worker].run_id
        self._deaths[run_id] += 1
        if self._deaths[run_id] < MAX_DEATHS:
            self._notes.append(f"{run_id}: its worker died; tried again from its last checkpoint")
            self._put_back(worker)
        else:
            self.fail(worker, run_id, f"its worker died {MAX_DEATHS} times; not tried again")

    def release(self, lane: str) -> None:
        """Take back what the workers of an ended lane still hold."""
        for worker in [w for w in self._held if w.split("/")[0] == lane]:
            self._put_back(worker)

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

    def _put_back(self, worker: str) -> None:
        work = self._held.pop(worker, None)
        if work is not None:
            self._waiting.insert(0, work.run_id)
