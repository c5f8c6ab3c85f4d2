"""What every model promises: logits, gradients, norms, seeds and pixels."""

import importlib
import math
from typing import Literal

import pytest
import torch
from torch import nn

from runner.models import ImageShape, Model, Normalize, built
from tests.made.networks import (
    CIFAR,
    DIGITS,
    FASHION,
    NORMED,
    SMALL,
    images_of,
    make,
)


@pytest.mark.parametrize("fields", SMALL, ids=str)
@pytest.mark.parametrize("shape", [DIGITS, FASHION, CIFAR, CIFAR._replace(num_classes=7)])
def test_images_of_every_size_give_one_logit_per_class(fields, shape):
    assert make(fields, shape)(images_of(shape)).shape == (4, shape.num_classes)


@pytest.mark.parametrize("fields", NORMED, ids=str)
def test_group_norm_leaves_no_batch_norm_and_makes_examples_independent(fields):
    model = make({**fields, "norm": "group"}, DIGITS)
    assert not any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in model.modules())
    groups = [m for m in model.modules() if isinstance(m, nn.GroupNorm)]
    assert groups
    assert all(m.num_groups == math.gcd(32, m.num_channels) for m in groups)
    images = images_of(DIGITS)
    changed = torch.cat([images[:1], images[1:].flip(0)])
    torch.testing.assert_close(model(images)[0], model(changed)[0])


@pytest.mark.parametrize("fields", SMALL, ids=str)
def test_every_parameter_gets_a_gradient_in_train_and_eval_mode(fields):
    for training in (True, False):
        model = make(fields, DIGITS).train(training)
        model(images_of(DIGITS)).square().sum().backward()
        for name, parameter in model.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("fields", SMALL, ids=str)
def test_the_same_seed_gives_the_same_bits(fields):
    one, two, other = (make(fields, DIGITS, seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(one[k], two[k]) for k in one)
    assert any(not torch.equal(one[k], other[k]) for k in one)


@pytest.mark.parametrize("fields", SMALL, ids=str)
def test_pixels_are_normalised_inside_the_model(fields):
    model = make(fields, CIFAR).eval()
    assert isinstance(next(m for m in model.modules() if not list(m.children())), Normalize)
    plain = make(fields, CIFAR._replace(mean=(0.0,) * 3, std=(1.0,) * 3)).eval()
    images = images_of(CIFAR)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (CIFAR.mean, CIFAR.std))
    torch.testing.assert_close(model(images), plain((images - mean) / std))


class Sizes(Model):
    """A network whose layers are told their sizes, or wait for the first image."""

    name: Literal["sizes"] = "sizes"
    lazy: bool

    def build(self, shape: ImageShape) -> nn.Module:
        if self.lazy:
            layers = (nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(10))
        else:
            layers = (nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 10))
        return nn.Sequential(*layers, nn.Dropout().eval())


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_layers_that_wait_for_the_first_image_are_built_as_those_with_sizes(device: str):
    found = []
    for lazy in (False, True):
        torch.manual_seed(0)
        with torch.device(device):
            found.append(built(Sizes(lazy=lazy), DIGITS))
    state, expected = found[1].state_dict(), found[0].state_dict()
    assert [(k, t.shape) for k, t in state.items()] == [(k, t.shape) for k, t in expected.items()]
    assert [m.training for m in found[1]] == [m.training for m in found[0]]
    if device == "cpu":
        assert all(torch.equal(t, expected[name]) for name, t in state.items())


@pytest.mark.parametrize("name", ["resnet", "wide_resnet", "small_cnn"])
def test_an_own_network_may_be_made_of_the_layers_of_ours(name: str):
    module = importlib.import_module(f"runner.models.{name}")
    for layer in ("ConvNorm", "Normalize", *(("Network", "Block") if name != "small_cnn" else ())):
        assert issubclass(getattr(module, layer), nn.Module)
    with pytest.raises(AttributeError):
        _ = module.Netwrok
    assert not hasattr(module, "__path__")
