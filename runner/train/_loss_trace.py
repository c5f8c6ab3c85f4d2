"""How each example's loss moves over a training: what an attacker has who watched it."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from runner.data import to_float
from runner.plan.plan import Run
from runner.storage.ids import seed_of
from runner.train.workplace import Workplace

BATCH = 1000  # images at once; another number would move a randomized model's draws


@torch.no_grad()
def losses_of(run: Run, place: Workplace, model: nn.Module) -> torch.Tensor:
    """Return the cross-entropy of each example of the pool, (N,) float32 in nats, on the CPU.

    Of the plain image, in eval mode and float32, whatever the defense trains on: members and others
    are asked alike. A randomized model answers by one draw, the same after every epoch. Training
    goes on as if nobody had looked.

    Raises:
        FloatingPointError: the model answers with numbers that are not finite.
    """
    asked = place.copied(run, model)
    torch.manual_seed(seed_of(run.seed, "loss_trace"))
    batches = zip(place.pool_images.split(BATCH), place.pool_labels.split(BATCH), strict=True)
    losses = torch.cat(
        [
            F.cross_entropy(asked(to_float(images)).float(), labels, reduction="none")
            for images, labels in batches
        ]
    ).cpu()
    if not losses.isfinite().all():
        raise FloatingPointError(
            "the model in training answers with numbers that are not finite; lower training.lr "
            f"(now {run.training.lr})"
        )
    return losses


def by_example(trace: list[torch.Tensor]) -> np.ndarray:
    """Return the losses of E epochs, each (N,), as (N, E) float32."""
    return torch.stack(trace, dim=1).numpy()
