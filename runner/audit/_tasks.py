"""Where tasks over answers and scores are run: by Ray Data, or one after the other right here.

A task is a number; what it yields are tables of rows. A sweep's trials score here: they hold no CPU
of the cluster, and for few answers NumPy alone is faster.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from attacks import origin
from runner.storage import store
from runner.storage.cloud import Folder
from runner.storage.parquet import BLOCK, array_of, to_bytes
from runner.storage.scores import place_of
from runner.storage.store import Corrupt

OfTask = Callable[[Any, int], Iterator[pa.Table]]  # (job, task) -> its rows; an importable function


class Tasks(NamedTuple):
    """Tasks 0 to `number` - 1."""

    of_task: OfTask
    job: Any  # what every task knows
    number: int


class Writing(NamedTuple):
    """A job whose rows are written where they are made."""

    tasks: Tasks
    folder: Folder
    partitions: Sequence[str]


def write(tasks: Tasks, folder: Folder, partitions: Sequence[str], in_ray: bool) -> list[str]:
    """Write the rows of all tasks as Parquet, in folders by partition; what lay there goes.

    All rows of a table are of one partition. A task that is done twice writes the same files.

    Returns:
        The names of the files, in no particular order.
    """
    store.remove(folder)
    writing = Tasks(_written, Writing(tasks, folder, partitions), tasks.number)
    return [row["file"] for row in _rows(writing, in_ray)]


def _written(job: Writing, task: int) -> Iterator[pa.Table]:
    """Write what a task yields, and yield where."""
    for number, table in enumerate(job.tasks.of_task(job.tasks.job, task)):
        name = f"{place_of(table, job.partitions)}/{task:06d}-{number:03d}.parquet"
        # One row group: all rows of a column are read at once, and each more makes a longer footer.
        content = to_bytes(table.drop_columns([*job.partitions]), max(BLOCK, table.num_rows))
        store.write(job.folder / name, content)
        yield pa.table({"file": [name]})


def arrays_of(tasks: Tasks, in_ray: bool) -> dict[tuple[int, int], dict[str, np.ndarray]]:
    """Return what tasks yield by `arrays_table`: arrays by name, by task and part, in their order.

    Whatever order the tasks end in, sums over what is returned have the same bits.
    """
    found: dict[tuple[int, int], dict[str, np.ndarray]] = {}
    for row in _rows(tasks, in_ray):
        found.setdefault((row["task"], row["part"]), {})[row["name"]] = array_of(row)
    return dict(sorted(found.items()))


def _rows(tasks: Tasks, in_ray: bool) -> list[dict[str, Any]]:
    """The rows of all tasks, in no particular order.

    What the user can cause is raised as a task raised it; a fault of ours keeps its traceback.
    """
    of_task, job, number = tasks
    if in_ray:
        from runner.audit._ray_data import over_cluster, unpacked

        with unpacked():
            return over_cluster(_told, (of_task, job), number).take_all()
    tables = (table for task in range(number) for table in _told((of_task, job), task))
    return [row for table in tables for row in table.to_pylist()]


def _told(job: tuple[OfTask, Any], task: int) -> Iterator[pa.Table]:
    """Yield what a task does; what an attack of a user's own raises says in which line."""
    of_task, given = job
    try:
        yield from of_task(given, task)
    except Corrupt:
        raise
    except (Exception, SystemExit) as error:
        if origin.lines(error):
            raise origin.failed(error) from error
        raise
