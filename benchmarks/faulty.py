"""The command line, with one Run poisoned: `benchmarks/faults.py` starts it.

POISON=raises|memory|hangs in the environment; without it this is the command line as it is.
"""

import os
import time
from functools import partial
from typing import Any

from runner import pipeline
from runner.__main__ import main
from runner.fleet.queue import Task
from runner.plan.plan import Run
from runner.plan.work import Work
from runner.train.workplace import Workplace

POISON = "FAULTS_POISON"
NUMBER = 3  # of the model that it is in


def poisoned(run: Run, place: Workplace, poison: str) -> None:
    """Raise, take all the memory there is, or never come back."""
    if run.number != NUMBER:
        return
    if poison == "raises":
        raise RuntimeError("poisoned")
    if poison == "hangs":
        time.sleep(3600)
    taken: list[Any] = []
    while True:
        taken.append(b"1" * (1 << 28))
        time.sleep(0.2)  # Ray looks four times a second


def poison_tasks(poison: str) -> None:
    """Put the poison before the other steps of every task; it knows its Run."""
    task_of = pipeline.task_of

    def with_poison(work: Work, run: Run, cost: float = 1.0) -> Task:
        made = task_of(work, run, cost)
        return Task(run, [partial(poisoned, poison=poison), *made.steps], cost)

    pipeline.task_of = with_poison


if __name__ == "__main__":
    if given := os.environ.get(POISON):
        import faulty  # workers import it by this name, and not as __main__

        faulty.poison_tasks(given)
    main()
