"""SELENA's networks: one that is released, and the sub-models that it is distilled from."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn

RELEASED = 0  # the place of the distilled network; sub-model k stands at k + 1


class Part(NamedTuple):
    """What the next losses are of."""

    network: int  # which one learns
    left_out: Tensor | None = None  # (n, K) bool, of each example the sub-models that never see it


class SplitAI(nn.Module):
    """K + 1 networks of one kind, of which one answers at a time: the released one, unless told."""

    def __init__(self, make_model: Callable[[], nn.Module], num_models: int) -> None:
        super().__init__()
        self.networks = nn.ModuleList([make_model() for _ in range(num_models + 1)])
        self.answering = RELEASED
        self.part: Part | None = None  # None: nobody said, and all networks learn

    def forward(self, images: Tensor) -> Tensor:
        return self.networks[self.answering](images)

    @contextmanager
    def answered_by(self, network: int, training: bool) -> Iterator[None]:
        """Let one network answer, in train or eval mode, and put everything back afterwards."""
        chosen, before = self.networks[network], self.answering
        modes = [(m, m.training) for m in chosen.modules()]
        self.answering = network
        chosen.train(training)
        try:
            yield
        finally:
            self.answering = before
            for module, mode in modes:
                module.training = mode


def left_out(num_members: int, num_models: int, num_left_out: int, seed: int) -> Tensor:
    """Return which sub-models never see which member, (n, K) bool, so many of each at random."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.rand(num_members, num_models, generator=generator).argsort(1)
    return torch.zeros_like(order, dtype=torch.bool).scatter_(1, order[:, :num_left_out], True)


@torch.no_grad()
def taught(network: SplitAI, images: Tensor, left_out: Tensor) -> Tensor:
    """Return the mean class probabilities of the sub-models that never see each image, (n, C).

    Args:
        network: whose sub-models answer in eval mode; it may compute in bf16.
        images: (n, channels, H, W) float in [0, 1].
        left_out: (n, K) bool, at least one of each row.
    """
    total = None
    for k, asked in enumerate(left_out.to(images.device).T):
        if asked.any():
            with network.answered_by(k + 1, training=False):
                p = network(images[asked]).softmax(1)
            total = p.new_zeros(len(images), p.shape[1]) if total is None else total
            total[asked] += p
    assert total is not None, "an example that every sub-model sees has no teacher"
    return total / total.sum(1, keepdim=True)
