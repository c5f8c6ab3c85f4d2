"""Where bf16 begins and ends in training: around the network's own layers, and nowhere else."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn


def in_bf16(network: nn.Module) -> nn.Module:
    """Return the network, which from now on computes under autocast and answers in float32.

    So losses, attacks and penalties never run under autocast. A CPU's autocast leaves log_softmax,
    norms and sums in bf16, which CUDA's has in float32: a KL divergence that begins near 0 is then
    rounding errors, and TRADES' inner attack climbs those.

    Its method is wrapped, and not the network, whose names stay. Whoever calls the network passes
    through it: DistributedDataParallel, `functional_call` (AWP), an attack, and a deep copy, which
    gets the copy's own method.
    """
    network.forward = partial(_answer, network.forward)
    return network


def _answer(forward: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """The logits of images (N, channels, H, W), (N, C) float32."""
    with torch.autocast(images.device.type, torch.bfloat16):
        return forward(images).float()
