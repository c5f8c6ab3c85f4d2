"""The moving average of a network's weights, which a Run gives away in their place."""

import torch
from torch import Tensor, nn


class Average:
    """A network at the exponential moving average of another one's weights, step after step.

    Norms' running averages are averaged like weights, so that they are of about the steps that the
    weights are of; counters are taken as they are. What never moves comes out to the bit.

    Source: Polyak and Juditsky (1992); as De et al. (2022), https://arxiv.org/abs/2204.13650, have
    it for DP-SGD, with the first steps' share cut: `share_of`.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        """Take a network of its own, with the weights that training begins at."""
        self.network, self.decay = network, decay

    @torch.no_grad()
    def add(self, trained: nn.Module, step: int) -> None:
        """Add the weights after a step; so many were taken before it, in this phase of training."""
        share = share_of(self.decay, step)
        for mine, theirs in zip(_tensors(self.network), _tensors(trained), strict=True):
            if mine.is_floating_point() or mine.is_complex():
                mine.lerp_(theirs, share)
            else:
                mine.copy_(theirs)


def share_of(decay: float, step: int) -> float:
    """Return the share of a step's weights in the average: 1 - decay, and more in the beginning.

    Else an average of the first 1 / (1 - decay) steps would be of weights that nobody trained: what
    is left of those is prod (1 + t) / (10 + t), less than a billionth after 40 steps.

    Args:
        decay: in (0, 1).
        step: from 0.
    """
    return 1 - min(decay, (1 + step) / (10 + step))


def _tensors(network: nn.Module) -> list[Tensor]:
    """All that its answers depend on, each tensor once, however many names it has."""
    return [*network.parameters(), *network.buffers()]
