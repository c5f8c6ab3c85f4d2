"""Tasks over a cluster by Ray Data: how they are sent, and how their errors come back."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow as pa
import ray
import ray.data
from ray.exceptions import RayTaskError


class ShippedError(Exception):
    """Carries an error out of a task. Ray Data adds a paragraph to the message of what it ships."""

    def __init__(self, error: Exception, *_: str) -> None:
        super().__init__(error)
        self.error = error


@contextmanager
def shipped() -> Iterator[None]:
    """Send what the user can cause to the driver as it is; a fault of ours keeps its traceback."""
    try:
        yield
    except (ValueError, OSError) as error:
        raise ShippedError(error) from error


@contextmanager
def unpacked() -> Iterator[None]:
    """Run Ray Data, raise what tasks shipped, and keep the console free of its messages.

    The log file in Ray's session folder gets everything as before. Exceptions of tasks are shipped
    as they are: by default Ray Data ships only a text about them.
    """
    context = ray.data.DataContext.get_current()
    before = context.enable_progress_bars, context.raise_original_map_exception
    consoles = [h for h in logging.getLogger("ray.data").handlers if h.level >= logging.INFO]
    levels = [console.level for console in consoles]
    for console in consoles:
        console.setLevel(logging.CRITICAL)
    context.enable_progress_bars = False  # they would leave their last state in a terminal
    context.raise_original_map_exception = True
    try:
        yield
    except RayTaskError as error:
        if isinstance(error.cause, ShippedError):
            raise error.cause.error from None
        raise
    finally:
        context.enable_progress_bars, context.raise_original_map_exception = before
        for console, level in zip(consoles, levels, strict=True):
            console.setLevel(level)


def over_cluster(
    of_task: Callable[[Any, int], Iterator[pa.Table]], job: Any, num_tasks: int
) -> ray.data.Dataset:
    """Return the rows of all tasks, to be computed within `unpacked`."""
    numbers = ray.data.range(num_tasks, override_num_blocks=num_tasks)
    given = {"of_task": of_task, "job": ray.put(job)}
    one: Any = _one
    return numbers.map_batches(one, batch_size=1, fn_kwargs=given)


def _one(
    batch: dict[str, np.ndarray],
    of_task: Callable[[Any, int], Iterator[pa.Table]],
    job: ray.ObjectRef,
) -> Iterator[pa.Table]:
    """One task on some node; the job lies in Ray's object store once."""
    with shipped():
        yield from of_task(ray.get(job), int(batch["id"][0]))
