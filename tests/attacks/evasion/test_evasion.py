"""What attacks leave of a model: its modes and gradients as they were."""

import pytest
import torch
from torch import nn

from attacks.evasion import crafting
from attacks.evasion.pgd import PGD
from tests.made.linear import batch


def test_an_attack_leaves_no_gradient_and_every_mode_as_it_was():
    norm = nn.BatchNorm2d(4)
    assert norm.running_mean is not None
    model = nn.Sequential(nn.Conv2d(3, 4, 1), norm, nn.Flatten(), nn.Linear(16, 2))
    model.train()
    norm.eval()
    before = norm.running_mean.clone()
    PGD(eps=0.1).perturb(model, *batch())
    assert [m.training for m in model] == [True, False, True, True]
    assert all(p.grad is None for p in model.parameters())
    assert torch.equal(before, norm.running_mean)


def test_a_mode_is_put_back_after_an_error():
    model = nn.Sequential(nn.Dropout()).train()

    def fail() -> None:
        with crafting(model):
            assert not model[0].training
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert model[0].training
