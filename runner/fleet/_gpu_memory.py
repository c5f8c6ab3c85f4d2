"""How much GPU memory a Run takes, by two steps of it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from runner.models import ImageShape
from runner.plan.plan import Run
from runner.train.fit import fit

SPARE = 0.1  # of a GPU, left free: PyTorch's blocks do not fit together perfectly


class Memory(NamedTuple):
    """What two steps of a Run took of a GPU, in bytes."""

    needed: int  # by its process, CUDA's own share included
    total: int  # of the GPU


def two_steps(run: Run) -> Run:
    """Return a Run of the same model, batch and defense that ends after two steps."""
    member = run.member.copy()
    member[run.members[2 * run.training.batch_size :]] = 0
    schedule = run.training.schedule.model_copy(update={"warmup_epochs": 0.0})
    training = run.training.model_copy(update={"epochs": 1, "schedule": schedule})
    return replace(run, member=member, training=training, selection=None, selected_on=None)


def measure(runs: Sequence[Run], images: Tensor, labels: Tensor, shape: ImageShape) -> list[Memory]:
    """Return what each Run takes of the GPU on which the images lie.

    Args:
        runs: one of each kind.
        images: (N, channels, H, W) uint8, the pool.
        labels: (N,) int64.

    Raises:
        torch.cuda.OutOfMemoryError: one alone does not fit.
    """
    device, found = images.device, []
    for run in runs:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
        for _ in fit(two_steps(run), images, labels, shape):
            pass
        free, total = torch.cuda.mem_get_info(device)
        beside = total - free - torch.cuda.memory_reserved(device)
        found.append(Memory(torch.cuda.max_memory_reserved(device) + beside, total))
    return found


def packing(found: Sequence[Memory]) -> int:
    """Return how many of the largest of these Runs fit on the smallest of these GPUs, or 0."""
    needed = max(memory.needed for memory in found)
    return int((1 - SPARE) * min(memory.total for memory in found) / needed)
