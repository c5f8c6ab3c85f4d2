"""Where tasks over scores and answers are run: over a cluster by Ray Data, or one after the other right here.

A task is a number; what it yields are tables of rows. A sweep's trials score here: they hold no CPU
of the cluster, and for few answers NumPy alone is faster.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import ray
import ray.data

from runner import tables
from runner.shipping import shipped

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
        _over_cluster(of_task, job, num_tasks).write_parquet(
            str(folder),
            partition_cols=list(partitions),
            mode=ray.data.SaveMode.OVERWRITE,
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
    """Return the rows of all tasks, in no particular order."""
    if in_ray:
        return _over_cluster(of_task, job, num_tasks).take_all()
    return [row for t in range(num_tasks) for part in of_task(job, t) for row in part.to_pylist()]


def _over_cluster(of_task: OfTask, job: Any, num_tasks: int) -> ray.data.Dataset:
    numbers = ray.data.range(num_tasks, override_num_blocks=num_tasks)
    given = {"of_task": of_task, "job": ray.put(job)}
    one: Any = _one
    return numbers.map_batches(one, batch_size=1, fn_kwargs=given)


def _one(batch: dict[str, np.ndarray], of_task: OfTask, job: ray.ObjectRef) -> Iterator[pa.Table]:
    """One task on some node; the job lies in Ray's object store once."""
    with shipped():
        yield from of_task(ray.get(job), int(batch["id"][0]))
