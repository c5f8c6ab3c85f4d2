"""What people see of the queue: what is done, in work and failed, and when it ends."""

from typing import NamedTuple


class Claim(NamedTuple):
    """One Run in work."""

    run_id: str
    word: str  # its worker's last
    part: float  # of it that is done, in [0, 1]
    ticket: int  # of the task
    told_at: float = 0.0  # when the worker gave that word, by this process's clock
    cost: float = 1.0  # of the task


class Counts(NamedTuple):
    """How many Runs a queue was given; one that is added twice counts once."""

    total: int
    done: int
    waiting: int


class Snapshot(NamedTuple):
    """What people see of a queue. Numbers are of tasks: a Run that is added twice counts twice."""

    total: int
    done: int
    failed: dict[str, str]  # run id -> reason
    working: dict[str, Claim]  # by worker
    notes: list[str]
    waiting: int
    stopped: str  # why nothing more is handed out, or ""
    since_first_claim_s: float
    closed: bool  # nothing more will be added
    cost: float = 0.0  # of all tasks
    cost_ended: float = 0.0  # of those that are done or failed
    lanes: int = 0  # that have asked for a task, and are not released
    no_room: bool = False  # for a lane on any node; the fleet's watcher says so, not the queue
    runs: Counts | None = None  # None: each task is another Run
    to_come: float = 0.0  # Runs that will be added, about; a sweep says so, not the queue

    @property
    def counts(self) -> Counts:
        """What a person counts: Runs, not tasks."""
        return self.runs or Counts(self.total, self.done, self.waiting)

    @property
    def ended(self) -> int:
        """The tasks that are done or failed."""
        return self.total - self.waiting - len(self.working)


def remaining_s(state: Snapshot) -> float:
    """Return the seconds left if the rest goes as what is done went, or 0 when unknown.

    Runs count by what they cost: longer ones may be done before shorter ones. One that is to come
    counts 1, as all do where some are.
    """
    done = state.cost_ended + sum(work.part * work.cost for work in state.working.values())
    if not done or (state.ended == state.total and not state.to_come):
        return 0.0
    return state.since_first_claim_s * (state.cost + state.to_come - done) / done
