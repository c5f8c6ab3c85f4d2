"""Optimizers to torch's last bit, and without its compiler."""

import copy
import sys
from typing import Any

import pytest
import torch
from torch import nn

from runner.experiment.training import Training
from runner.plan.work import Work
from runner.train._optimizer import make_optimizer
from runner.train.train import train
from runner.train.workplace import Workplace

SETTINGS: list[dict[str, Any]] = [
    {"optimizer": "sgd", "lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 5e-4},
    {"optimizer": "sgd", "lr": 0.1, "momentum": 0.0, "nesterov": False, "weight_decay": 0.0},
    {"optimizer": "adam", "lr": 0.01, "weight_decay": 5e-4},
]


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 3))


def some_steps(model: nn.Module, optimizer: torch.optim.Optimizer, first: int) -> None:
    for seed in range(first, first + 3):
        images = torch.randn(4, 5, generator=torch.Generator().manual_seed(seed))
        optimizer.zero_grad(set_to_none=True)
        model(images).square().sum().backward()
        optimizer.step()


def torchs_own(model: nn.Module, settings: dict[str, Any]) -> torch.optim.Optimizer:
    given = dict(settings)
    kind = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[given.pop("optimizer")]
    return kind(model.parameters(), **given)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_steps_are_torchs_own_to_the_bit_and_go_on_from_a_checkpoint(settings: dict[str, Any]):
    ours, theirs = network(), network()
    made = make_optimizer(ours, Training.model_validate({"epochs": 1, **settings}))
    some_steps(ours, made, 0)
    kept = copy.deepcopy(made.state_dict())
    made = make_optimizer(ours, Training.model_validate({"epochs": 1, **settings}))
    made.load_state_dict(kept)
    some_steps(ours, made, 3)
    expected = torchs_own(theirs, settings)
    some_steps(theirs, expected, 0)
    some_steps(theirs, expected, 3)
    assert all(map(torch.equal, ours.parameters(), theirs.parameters()))
    assert str(made.state_dict()) == str(expected.state_dict())


def test_training_imports_no_compiler(
    work: Work, place: Workplace, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "torch._dynamo", None)  # who imports it now fails
    train(work.plan.runs[0], place)
    train(work.plan.arms["pgd_at"][0], place)
    assert work.is_trained(work.plan.runs[0])
