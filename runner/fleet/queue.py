"""Which Runs are to do, in work, done and failed. A plain class; the fleet makes it a Ray actor."""

import bisect
import pickle
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from runner.cluster.timetable import is_tail
from runner.driver.snapshot import Claim, Counts, Snapshot

if TYPE_CHECKING:  # it would be torch, which the queue's process has no use for
    from runner.plan.plan import Run
    from runner.train.workplace import Workplace

MAX_DEATHS = 2  # a Run that killed its process so often is not tried again
MAX_REPAIRS = 3  # nor one whose files were found corrupt so often

Step = Callable[["Run", "Workplace"], None]  # does nothing when its folder is done


class Task:
    """A Run and what to do with it, in order.

    In other processes both stay pickled until somebody asks for them: the queue never does, so it
    starts 2 s sooner and takes 500 MB less.

    Args:
        steps: importable functions, or functools.partial of them.
        cost: expected seconds, or whatever is in proportion to them for all tasks.
    """

    def __init__(self, run: "Run", steps: Sequence[Step], cost: float = 1.0) -> None:
        self.run_id, self.cost = run.id, cost
        self._what: tuple[Run, Sequence[Step]] | bytes = run, steps

    @property
    def run(self) -> "Run":
        return self._opened()[0]

    @property
    def steps(self) -> Sequence[Step]:
        return self._opened()[1]

    def __getstate__(self) -> dict[str, Any]:
        what = self._what
        return {**vars(self), "_what": what if isinstance(what, bytes) else pickle.dumps(what)}

    def _opened(self) -> "tuple[Run, Sequence[Step]]":
        what = self._what
        if isinstance(what, bytes):
            what = self._what = pickle.loads(what)
        return what


class Outcome(NamedTuple):
    """What became of some tickets."""

    done: int
    failed: dict[str, str]  # run id -> reason
    left: int  # still waiting or in work


class RunQueue:
    """Hands tasks to workers; a worker is named lane/rank.

    They go in the order of adding, and in the tail of a closed queue the heaviest first, as
    `runner.cluster.timetable.turns` has it.

    Whoever adds a task holds its ticket. The same Run may be added again, for other steps or by
    somebody else, but only one worker at a time works on it.

    A lane that ended releases what its workers held, and it is handed out again. Only a worker that
    is blamed died of itself, so a Run that kills its process is given up and drags no innocent one
    of the same lane along. A released lane is given nothing more: a worker of it that a network
    cut off may be alive.
    """

    def __init__(self, materials: Any = None) -> None:
        self._tasks: dict[int, Task] = {}  # by ticket, until they end
        self._waiting: list[int] = []  # tickets, rising
        self._held: dict[str, Claim] = {}  # by worker
        self._done: set[int] = set()
        self._failed: dict[int, tuple[str, str]] = {}  # ticket -> run id, reason
        self._total = 0
        self._cost = self._cost_ended = 0.0
        self._costs: dict[int, float] = {}  # by ticket, until they end
        self._ended: dict[str, str] = {}  # run id -> why its last task to end failed, "" if not
        self._deaths: Counter[str] = Counter()  # by run id
        self._lanes: set[str] = set()  # that have asked for a task
        self._released: set[str] = set()  # lanes
        self._of_lane: Counter[str] = Counter()  # tasks that ended in it, one way or the other
        self._repairs: Counter[str] = Counter()
        self._notes: list[str] = []
        self._stopped = ""
        self._closed = False
        self._started = 0.0
        self._materials = materials

    def materials(self) -> Any:
        """Return what every worker needs besides; the same object for all."""
        return self._materials

    def add(self, tasks: Sequence[Task]) -> list[int]:
        """Return the tickets of new tasks, in order."""
        assert not self._closed, "nothing is added to a closed queue"
        tickets = [*range(self._total, self._total + len(tasks))]
        self._total += len(tasks)
        known = {task.run_id for task in self._tasks.values()} | {*self._ended}
        for ticket, task in zip(tickets, tasks, strict=True):
            # What a Run is added for again is mostly done by then.
            self._costs[ticket] = 0.0 if task.run_id in known else task.cost
            self._cost += self._costs[ticket]
            self._tasks[ticket] = task
            known.add(task.run_id)
        self._waiting += tickets
        self._give_up_killers()
        return tickets

    def close(self) -> None:
        """Say that nothing more will be added: workers leave when nothing waits."""
        self._closed = True

    def stop(self, reason: str) -> None:
        """Hand out nothing more; the first reason counts."""
        self._stopped = self._stopped or reason

    def claim(self, worker: str) -> Task | Literal["wait"] | None:
        """Return a worker's next task, "wait" if one may come, or None if none ever will."""
        self._put_back(worker)
        self._lanes.add(lane := worker.split("/")[0])
        nothing = self._closed and not self._waiting
        if self._stopped or nothing or lane in self._released:
            return None
        in_work = {claim.run_id for claim in self._held.values()}
        free = (t for t in self._waiting if self._tasks[t].run_id not in in_work)
        if self._closed and is_tail(len(self._waiting), len(self._held) + 1):
            ticket = max(free, key=lambda t: self._tasks[t].cost, default=None)
        else:
            ticket = next(free, None)
        if ticket is None:
            return "wait"
        self._started = self._started or time.monotonic()
        self._waiting.remove(ticket)
        task = self._tasks[ticket]
        now = time.monotonic()
        self._held[worker] = Claim(task.run_id, "starts", 0.0, ticket, now, self._costs[ticket])
        return task

    def tell(self, worker: str, word: str, part: float) -> bool:
        """Note a worker's last word on its Run and how much of it is done; True: leave it there."""
        if worker in self._held:
            told = self._held[worker]._replace(word=word, part=part, told_at=time.monotonic())
            self._held[worker] = told
        return bool(self._stopped)

    def note(self, text: str) -> None:
        """Keep a sentence for the end of the run."""
        self._notes.append(text)

    def finish(self, worker: str) -> None:
        """Count a worker's task as done."""
        work = self._held.pop(worker, None)
        if work is not None:  # else its group was blamed for a death, and it is handed out again
            self._count(worker)
            self._end(work.ticket)
            self._done.add(work.ticket)
            self._ended[work.run_id] = ""

    def fail(self, worker: str, reason: str, everywhere: bool = False) -> None:
        """Count its task as failed; `everywhere` says that all others would fail for that too."""
        work = self._held.pop(worker, None)
        if work is not None:
            self._count(worker)
            self._end_badly(work.ticket, reason)
        if everywhere:
            self.stop(reason)

    def repair(self, worker: str, note: str) -> None:
        """Hand its task out again, since files were corrupt and are set aside now."""
        self._notes.append(note)
        if worker not in self._held:
            return
        run_id = self._held[worker].run_id
        self._repairs[run_id] += 1
        if self._repairs[run_id] > MAX_REPAIRS:
            del self._repairs[run_id]  # whoever adds it later may have a mended disk
            self.fail(worker, f"{MAX_REPAIRS + 1} times in a row, check the disk: {note}")
        else:
            self._put_back(worker)

    def blame(self, worker: str, why: str = "") -> None:
        """Note that a worker died of itself, and was not torn down with its lane."""
        if worker not in self._held:
            self._notes.append(f"{worker}: the worker died between two Runs{_in_words(why)}")
            return
        held = self._held[worker]
        self._count(worker)
        self._deaths[held.run_id] += 1
        self._put_back(worker)
        silent_s = time.monotonic() - held.told_at
        after = f"{silent_s:.0f} s after its last word, {held.word!r}{_in_words(why)}"
        self._notes.append(f"{held.run_id}: its worker died {after}")
        self._give_up_killers()

    def release(self, lane: str) -> int:
        """Take back what the workers of an ended lane still hold, and give them nothing more.

        Returns:
            How many tasks ended in it, or were the death of a worker.
        """
        self._released.add(lane)
        for worker in [w for w in self._held if w.split("/")[0] == lane]:
            self._put_back(worker)
        return self._of_lane[lane]

    def outcome(self, tickets: Sequence[int]) -> Outcome:
        """Return what became of tasks; once the queue stopped, whatever is not done has failed."""
        failed = dict(self._failed[t] for t in tickets if t in self._failed)
        left = [self._tasks[t].run_id for t in tickets if t in self._tasks]
        if self._stopped:
            failed, left = failed | dict.fromkeys(left, self._stopped), []
        return Outcome(len(self._done & {*tickets}), failed, len(left))

    def snapshot(self) -> Snapshot:
        """Return the present state."""
        return Snapshot(
            self._total,
            len(self._done),
            {run_id: why for run_id, why in self._ended.items() if why},
            dict(self._held),
            list(self._notes),
            len(self._waiting),
            self._stopped,
            time.monotonic() - self._started if self._started else 0.0,
            self._closed,
            self._cost,
            self._cost_ended,
            len(self._lanes - self._released),
            runs=self._counts(),
        )

    def _counts(self) -> Counts:
        """How many Runs there are; what a Run is added for again is nothing new."""
        left = {task.run_id for task in self._tasks.values()}
        working = {claim.run_id for claim in self._held.values()}
        done = sum(not why for run_id, why in self._ended.items() if run_id not in left)
        return Counts(len(left | {*self._ended}), done, len(left - working))

    def _count(self, worker: str) -> None:
        self._of_lane[worker.split("/")[0]] += 1

    def _put_back(self, worker: str) -> None:
        work = self._held.pop(worker, None)
        if work is not None:
            bisect.insort(self._waiting, work.ticket)

    def _end_badly(self, ticket: int, reason: str) -> None:
        self._failed[ticket] = (self._end(ticket).run_id, reason)
        self._ended[self._failed[ticket][0]] = reason

    def _end(self, ticket: int) -> Task:
        """Take out a task that is done or failed."""
        task = self._tasks.pop(ticket)
        self._cost_ended += self._costs.pop(ticket)
        return task

    def _give_up_killers(self) -> None:
        """Fail every waiting task whose Run killed its process too often, whoever added it."""
        for ticket in [*self._waiting]:
            if self._deaths[self._tasks[ticket].run_id] >= MAX_DEATHS:
                self._waiting.remove(ticket)
                self._end_badly(ticket, f"its worker died {MAX_DEATHS} times; not tried again")


def _in_words(why: str) -> str:
    return f" ({why})" if why else ""
