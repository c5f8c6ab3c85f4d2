"""Poisson batches, and steps in parts."""

import numpy as np
import pytest
import torch
from torch import nn

from defenses import Kit
from defenses._poisson import poisson_batches, sampling

MEMBERS = torch.arange(40) * 3 + 1


def kit(seed: int = 5, batch_size: int = 12) -> Kit:
    model = nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    return Kit(model, optimizer, lambda epoch: [], MEMBERS, batch_size, seed)


def drawn(epochs: int) -> np.ndarray:
    """Who is in which batch, (batches, 40) 0 or 1."""
    batches = [batch for epoch in range(epochs) for batch in poisson_batches(kit(), epoch)]
    return np.array([np.isin(MEMBERS.numpy(), batch.numpy()) for batch in batches], dtype=float)


def test_batch_sizes_are_binomial():
    sizes = drawn(200).sum(1)
    n, rate = len(sizes), 12 / 40
    variance = 40 * rate * (1 - rate)
    assert n == 200 * round(40 / 12)
    assert abs(sizes.mean() - 12) < 4 * np.sqrt(variance / n)
    assert abs(sizes.var() / variance - 1) < 4 * np.sqrt(2 / n)


def test_each_member_is_in_each_batch_by_its_own_toss():
    tosses = drawn(200)
    n = len(tosses)
    assert np.abs(tosses.mean(0) - 0.3).max() < 5 * np.sqrt(0.3 * 0.7 / n)
    together = np.corrcoef(tosses.T)[np.triu_indices(40, 1)]
    assert np.abs(together).max() < 5 / np.sqrt(n)
    after = np.corrcoef(tosses[:-1].ravel(), tosses[1:].ravel())[0, 1]
    assert abs(after) < 5 / np.sqrt(tosses.size)


def test_batches_hold_members_alone_and_none_of_them_twice():
    for batch in poisson_batches(kit(), 0):
        assert len(set(batch.tolist())) == len(batch)
        assert set(batch.tolist()) <= set(MEMBERS.tolist())


def test_batches_follow_from_seed_and_epoch_alone():
    def epoch(number: int, seed: int = 5) -> list[list[int]]:
        return [batch.tolist() for batch in poisson_batches(kit(seed), number)]

    assert epoch(1) == epoch(1)
    assert epoch(1) != epoch(2)
    assert epoch(1) != epoch(1, seed=6)


def test_a_batch_of_everyone_is_everyone():
    assert [b.tolist() for b in poisson_batches(kit(batch_size=40), 0)] == [MEMBERS.tolist()]


def test_a_batch_larger_than_the_training_set_is_refused():
    with pytest.raises(ValueError, match="batch_size must be at most 40"):
        sampling(40, 41)
