"""Where tasks over answers and scores are run: by Ray Data, or one after the other right here.

A task is a number; what it yields are tables of rows. A sweep's trials score here: they hold no CPU
of the cluster, and for few answers NumPy alone is faster.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from runner.storage import store
from runner.storage.cloud import Folder
from runner.storage.parquet import to_bytes
from runner.storage.scores import place_of

OfTask = Callable[[Any, int], Iterator[pa.Table]]  # (job, task) -> its rows; an importable function


class Writing(NamedTuple):
    """A job whose rows are written where they are made."""

    of_task: OfTask
    job: Any
    folder: Folder
    partitions: Sequence[str]


def write(
    of_task: OfTask,
    job: Any,
    num_tasks: int,
    folder: Folder,
    partitions: Sequence[str],
    in_ray: bool,
) -> list[str]:
    """Write the rows of all tasks as Parquet, in folders by partition; what lay there goes.

    All rows of a table are of one partition. A task that is done twice writes the same files.

    Returns:
        The names of the files, in no particular order.
    """
    store.remove(folder)
    job = Writing(of_task, job, folder, partitions)
    return [row["file"] for row in rows(_written, job, num_tasks, in_ray)]


def _written(job: Writing, task: int) -> Iterator[pa.Table]:
    """Write what a task yields, and yield where."""
    for number, table in enumerate(job.of_task(job.job, task)):
        name = f"{place_of(table, job.partitions)}/{task:06d}-{number:03d}.parquet"
        store.write(job.folder / name, to_bytes(table.drop_columns([*job.partitions])))
        yield pa.table({"file": [name]})


def rows(of_task: OfTask, job: Any, num_tasks: int, in_ray: bool) -> list[dict[str, Any]]:
    """Return the rows of all tasks, in no particular order.

    What the user can cause is raised as a task raised it; a fault of ours keeps its traceback.
    """
    if in_ray:
        from runner.audit._ray_data import over_cluster, unpacked

        with unpacked():
            return over_cluster(of_task, job, num_tasks).take_all()
    return [row for t in range(num_tasks) for part in of_task(job, t) for row in part.to_pylist()]
