"""Where tasks over answers and scores are run: by Ray Data, or one after the other right here.

A task is a number; what it yields are tables of rows. A sweep's trials score here: they hold no CPU
of the cluster, and for few answers NumPy alone is faster.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from runner import tables

OfTask = Callable[[Any, int], Iterator[pa.Table]]  # (job, task) -> its rows; an importable function


def write(
    of_task: OfTask,
    job: Any,
    num_tasks: int,
    folder: Path,
    partitions: Sequence[str],
    in_ray: bool,
) -> None:
    """Write the rows of all tasks as Parquet, in folders by partition; what lay there goes."""
    if in_ray:
        from ray.data import SaveMode  # who does without Ray need not have it

        from runner.shipping import over_cluster, unpacked

        with unpacked():
            over_cluster(of_task, job, num_tasks).write_parquet(
                str(folder),
                partition_cols=list(partitions),
                mode=SaveMode.OVERWRITE,
                **tables.WRITING,
            )
        return
    shutil.rmtree(folder, ignore_errors=True)
    for task in range(num_tasks):
        for number, table in enumerate(of_task(job, task)):
            pq.write_to_dataset(
                table,
                str(folder),
                partition_cols=list(partitions),
                basename_template=f"{task:06d}-{number:03d}-{{i}}.parquet",
                **tables.WRITING,
            )


def rows(of_task: OfTask, job: Any, num_tasks: int, in_ray: bool) -> list[dict[str, Any]]:
    """Return the rows of all tasks, in no particular order.

    What the user can cause is raised as a task raised it; a fault of ours keeps its traceback.
    """
    if in_ray:
        from runner.shipping import over_cluster, unpacked

        with unpacked():
            return over_cluster(of_task, job, num_tasks).take_all()
    return [row for t in range(num_tasks) for part in of_task(job, t) for row in part.to_pylist()]
