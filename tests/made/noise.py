"""Features, and noise that is drawn by a seed and measured."""

import math
from collections.abc import Callable

import torch
from torch import Tensor


def features(*shape: int, seed: int = 4) -> Tensor:
    """Standard normal numbers of this shape."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def seeded(run: Callable[[], Tensor], seed: int = 3) -> Tensor:
    """What a function returns after PyTorch is given a seed."""
    torch.manual_seed(seed)
    return run()


def has_std(noise: Tensor, std: float) -> bool:
    """Whether mean and standard deviation are those of so many normal draws, to 4 sigma."""
    noise, n = noise.double(), noise.numel()
    off = abs(noise.std().item() / std - 1)
    return abs(noise.mean().item()) < 4 * std / math.sqrt(n) and off < 4 / math.sqrt(2 * n)
