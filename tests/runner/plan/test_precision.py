"""What `auto` becomes, by hardware and by what is in a network."""

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from runner.experiment.experiment import Experiment
from runner.experiment.fields import Arm
from runner.experiment.training import Training
from runner.models import ImageShape
from runner.norms import GroupNorm
from runner.plan import precision
from runner.plan.plan import make_plan
from runner.plan.precision import is_faster_in_bf16, resolve_precision
from tests.conftest import TINY
from tests.made.networks import CIFAR, DIGITS

OLD_GPU = torch.cuda.is_available() and not torch.cuda.is_bf16_supported(False)
RECENT = "fp32" if OLD_GPU else "bf16"  # what auto is where GPUs are asked for


def planned(**changes: Any) -> dict[str, str]:
    """What the precision of each arm of the tiny experiment becomes."""
    experiment = Experiment.model_validate(
        {**TINY, "training": {"epochs": 1, "batch_size": 32}, **changes}
    )
    plan = make_plan(experiment, experiment.data.load())
    return {name: runs[0].training.precision for name, runs in plan.arms.items()}


def test_auto_is_fp32_for_a_defense_that_takes_each_examples_gradient_by_itself():
    """On a driver without a GPU that asks for GPUs, auto is bf16 for everyone else."""
    arms = {
        "erm": {"defense": "erm"},
        "private": {"defense": {"name": "dp_sgd", "noise_multiplier": 1}},
        "named": {"defense": "erm", "training": {"precision": "fp32"}},
    }
    found = planned(arms=arms, fleet={"num_gpus": 1})
    assert found == {"erm": RECENT, "private": "fp32", "named": "fp32"}


@pytest.mark.parametrize("fast", [True, False])
def test_on_a_cpu_it_is_bf16_where_that_is_multiplied_and_there_is_enough_of_it(
    fast: bool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: fast)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    arms = {
        "tiny": {"defense": "erm"},
        "large": {"defense": "erm", "model": {"name": "resnet18", "width": 64}},
        "named": {"defense": "erm", "training": {"precision": "bf16"}},
        "unbuilt": {"defense": {"name": "residual_perturbation", "gamma": 0.1}},
    }
    expected = {"tiny": "fp32", "large": "fp32", "named": "bf16", "unbuilt": "fp32"}
    assert planned(arms=arms) == expected | ({"large": "bf16"} if fast else {})


def built(defense: dict[str, Any], model: dict[str, Any], shape: ImageShape) -> nn.Module:
    return Arm.model_validate(
        {"defense": defense, "model": model, "training": Training(epochs=1)}
    ).network(shape)


ERM = {"name": "erm"}
NOISY = {"name": "residual_perturbation", "gamma": 0.1}


@pytest.mark.parametrize(
    ("defense", "model", "shape", "batch_size", "faster"),
    [
        (ERM, {"name": "resnet8"}, CIFAR, 128, True),
        (ERM, {"name": "resnet8", "norm": "group"}, CIFAR, 128, True),
        (ERM, {"name": "resnet8"}, DIGITS, 128, False),  # 1.01 of fp32 with GroupNorm
        (ERM, {"name": "wide_resnet", "depth": 10}, CIFAR, 128, True),
        (ERM, {"name": "small_cnn"}, CIFAR, 32, True),
        (ERM, {"name": "small_cnn", "width": 16}, DIGITS, 128, False),  # 1.1
        (ERM, {"name": "mlp", "hidden": [2048, 2048]}, CIFAR, 128, True),  # 0.4
        (ERM, {"name": "mlp", "hidden": [2048, 2048]}, CIFAR, 32, False),  # 1.3
        (NOISY, {"name": "resnet8"}, CIFAR, 128, True),
        (NOISY | {"members": 3, "strategy": "enresnet"}, {"name": "resnet8"}, CIFAR, 128, True),
        (
            NOISY | {"strategy": "II", "eta": 0.1, "last_layer_noise": 0.1},
            {"name": "resnet8", "norm": "group"},
            CIFAR,
            128,
            True,
        ),
    ],
    ids=str,
)
def test_shipped_networks_get_what_was_measured_to_be_faster(
    defense, model, shape, batch_size, faster
):
    """benchmarks/results/precision.md has the ratios."""
    state, others = torch.get_rng_state(), (random.getstate(), str(np.random.get_state()))
    assert is_faster_in_bf16(built(defense, model, shape), shape, batch_size) == faster
    assert torch.equal(torch.get_rng_state(), state)
    assert (random.getstate(), str(np.random.get_state())) == others


def net(*layers: nn.Module | Callable[[Tensor], Tensor]) -> nn.Module:
    """A network with enough to multiply, whose first convolution is followed by these layers."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Conv2d(3, 32, 3, padding=1), nn.Conv2d(32, 32, 3)
            self.inside = nn.ModuleList(each for each in layers if isinstance(each, nn.Module))
            self.linear = nn.Linear(32, 10)

        def forward(self, images: Tensor) -> Tensor:
            features = self.first(images)
            for layer in layers:
                features = layer(features)
            return self.linear(torch.relu(self.second(features)).mean((2, 3)))

    return Net()


@pytest.mark.parametrize(
    ("layer", "faster"),
    [
        pytest.param(nn.BatchNorm2d(32), True, id="batch norm"),
        pytest.param(GroupNorm(32), True, id="our group norm"),
        pytest.param(
            nn.Sequential(nn.GELU(), nn.Dropout(), nn.InstanceNorm2d(32)), True, id="known ones"
        ),
        pytest.param(nn.Conv2d(32, 32, 3, padding="same"), True, id="same padding"),
        pytest.param(
            nn.Conv2d(32, 32, (3, 1), padding=(1, 0), stride=(2, 1), dilation=2), True, id="dilated"
        ),
        pytest.param(lambda x: x + x.mean((2, 3), keepdim=True).sigmoid(), True, id="a function"),
        pytest.param(nn.GroupNorm(8, 32), False, id="PyTorch's group norm"),
        pytest.param(lambda x: torch.group_norm(x, 8), False, id="its function"),
        # 3.6 times as long in bf16
        pytest.param(lambda x: x.amax(1, keepdim=True) + x, False, id="maximum"),
        pytest.param(lambda x: x if x.sum() > 0 else x / 0 + int(x.shape[7]), False, id="fails"),
    ],
)
def test_of_an_own_network_each_function_must_be_known_not_to_be_slower(layer, faster):
    network = net(layer)
    assert is_faster_in_bf16(network, CIFAR, 128) == faster
    if isinstance(layer, nn.Module):
        assert is_faster_in_bf16(net(layer).to("meta"), CIFAR, 128) == faster


@pytest.mark.parametrize("draw", [random.random, np.random.random_sample, lambda: torch.rand(())])
def test_a_network_that_draws_which_layers_it_calls_gets_the_same_each_time(draw: Any):
    """It is in the ids of Runs: another one would train them all anew."""
    network = net(lambda x: x if draw() < 0.5 else x.amax(1, keepdim=True) + x)
    assert len({is_faster_in_bf16(network, CIFAR, 128) for _ in range(12)}) == 1


def test_shapes_are_those_of_the_layers_and_their_products_are_counted():
    layers = [
        nn.Conv2d(3, 8, 3, padding=1),
        nn.Conv2d(8, 16, (5, 2), stride=(2, 3), padding=(1, 2), dilation=(2, 1), groups=4),
        nn.Conv2d(16, 8, 3, padding="valid"),
        nn.Conv2d(8, 8, 5, padding="same", bias=False),
        nn.Flatten(),
    ]
    network, images = nn.Sequential(*layers), torch.rand(2, 3, 20, 20)
    inputs = network(images).shape[1]
    network.append(nn.Linear(inputs, 7))
    counted, given = 0, images
    for layer in network:
        given = layer(given)
        if isinstance(layer, nn.Conv2d | nn.Linear):
            counted += given.numel() * layer.weight[0].numel()
    with precision._Functions() as seen:
        assert network(images).shape == given.shape
    assert seen.multiplied == counted
    assert seen.layers == 5
    assert not seen.others


def test_several_workers_share_a_batch(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    asked: dict[str, Any] = {"training": {"epochs": 1, "batch_size": 32}}
    asked["model"] = {"name": "resnet8", "norm": "group"}
    found = []
    for workers in (1, 8):
        experiment = Experiment.model_validate(
            {**TINY, **asked, "fleet": {"workers_per_run": workers}}
        )
        arm = experiment.arms["erm"]
        found.append(resolve_precision(experiment, arm, arm.network(CIFAR), CIFAR))
    assert found == ["bf16", "fp32"]
