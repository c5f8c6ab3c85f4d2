"""Images whose pixels are random."""

import torch


def pixels(*shape: int, seed: int = 0) -> torch.Tensor:
    """Bytes of this shape."""
    draws = torch.Generator().manual_seed(seed)
    return torch.randint(256, shape, generator=draws, dtype=torch.uint8)
