"""Who is in a step of DP-SGD, and a step in parts that fit into memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from defenses import Kit

if TYPE_CHECKING:
    from torch import Tensor


def sampling(num_members: int, batch_size: int) -> tuple[float, int]:
    """Return the probability of a member to be in a step's batch, and the steps of an epoch.

    Raises:
        ValueError: the batch is larger than the training set.
    """
    if batch_size > num_members:
        raise ValueError(
            "dp_sgd draws each member with probability batch_size / members: batch_size must be "
            f"at most {num_members}, the number of members, got {batch_size}"
        )
    return batch_size / num_members, round(num_members / batch_size)


def poisson_batches(kit: Kit, epoch: int, most: int | None = None) -> Iterator[Tensor]:
    """Yield the example numbers of each step, (n,) with n random, and 0 now and then.

    Each member is in each batch by a toss of its own, which the accountants presume. An epoch's
    tosses depend on the seed and the epoch alone, so a resumed Run draws the same.

    Args:
        most: a batch that is drawn larger is cut to so many of its examples, drawn uniformly.
    """
    import torch

    rate, num_steps = sampling(len(kit.members), kit.batch_size)
    tosses = np.random.Generator(np.random.Philox([kit.seed, epoch]))
    for _ in range(num_steps):
        drawn = np.flatnonzero(tosses.random(len(kit.members)) < rate)
        if most is not None and len(drawn) > most:
            drawn = np.sort(tosses.choice(drawn, most, replace=False))
        yield kit.members[torch.from_numpy(drawn)]


def in_parts(batch: Tensor, size: int, copies: int, optimizer: Any) -> Iterator[Tensor]:
    """Yield a step's parts of at most `size` examples; see `Kit` for what the loop does with them.

    Args:
        copies: how many times each example stands in its part, one behind the other.
        optimizer: Opacus's DPOptimizer. It adds up clipped gradients, and after the last part adds
            noise once and moves the weights.
    """
    if not len(batch):  # a step without noise would tell that nobody was drawn
        optimizer.zero_grad(set_to_none=True)
        for p in optimizer.params:
            p.grad_sample = p.new_zeros(0, *p.shape)
        optimizer.step()
        return
    parts = batch.split(size)
    for number, part in enumerate(parts, 1):
        optimizer.signal_skip_step(number < len(parts))
        yield part.repeat_interleave(copies) if copies > 1 else part
