"""A convolution with its norm, folded and not, and the average of a feature map."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from runner.models._layers import ConvNorm, average
from tests.made.networks import (
    DIGITS,
    FASHION,
    NORMED,
    images_of,
    make,
    randomize_norms,
)


def with_convolutions_and_norms_apart(model: nn.Module, run: Callable[[], Tensor]) -> Tensor:
    """Run with every ConvNorm calling its two modules: the slow oracle of folding."""
    folded = ConvNorm.forward
    try:
        ConvNorm.forward = lambda self, images: self.norm(self.conv(images))
        return run()
    finally:
        ConvNorm.forward = folded


@pytest.mark.parametrize("fields", NORMED, ids=str)
def test_folding_changes_neither_the_logits_nor_any_gradient(fields):
    model = make(fields, DIGITS).double().eval()
    randomize_norms(model)
    images = images_of(DIGITS).double().requires_grad_()
    wanted = [images, *model.parameters()]

    def logits() -> Tensor:
        return model(images)

    folded, apart = logits(), with_convolutions_and_norms_apart(model, logits)
    torch.testing.assert_close(folded, apart, rtol=0, atol=1e-10)
    for ours, oracle in zip(
        torch.autograd.grad(folded.square().sum(), wanted),
        torch.autograd.grad(apart.square().sum(), wanted),
        strict=True,
    ):
        torch.testing.assert_close(ours, oracle, rtol=1e-8, atol=1e-8)


def test_folding_in_float32_is_within_1e_5():
    model = make({"name": "resnet8"}, FASHION).eval()
    randomize_norms(model)
    images = images_of(FASHION).requires_grad_()

    def both() -> Tensor:
        logits = model(images)
        return torch.cat([logits.flatten(), torch.autograd.grad(logits.sum(), images)[0].flatten()])

    apart = with_convolutions_and_norms_apart(model, both)
    scale = apart.abs().max().item()
    torch.testing.assert_close(both(), apart, rtol=0, atol=1e-5 * scale)


def test_a_folded_pass_calls_no_norm_and_any_other_pass_calls_conv_and_norm():
    def calls(layer: ConvNorm) -> list[str]:
        seen: list[str] = []
        for name, child in layer.named_children():
            child.register_forward_hook(lambda *_, name=name: seen.append(name))
        layer(torch.rand(2, 4, 6, 6))
        return seen

    assert calls(ConvNorm(4, 8, 3, "batch").eval()) == []
    assert calls(ConvNorm(4, 8, 3, "batch")) == ["conv", "norm"]
    assert calls(ConvNorm(4, 8, 3, "group").eval()) == ["conv", "norm"]
    assert calls(ConvNorm(4, 8, 3, "none").eval()) == ["conv", "norm"]


def test_folding_follows_the_norm_that_is_there_now():
    layer = ConvNorm(4, 8, 3, "batch")
    randomize_norms(layer)
    layer.eval()
    images = torch.rand(2, 4, 6, 6)
    before = layer(images)
    names = set(layer.state_dict())
    synced = nn.SyncBatchNorm.convert_sync_batchnorm(layer)
    assert isinstance(synced.norm, nn.SyncBatchNorm)
    assert set(synced.state_dict()) == names
    torch.testing.assert_close(synced(images), before)
    assert synced.norm.running_mean is not None
    synced.norm.running_mean.add_(1)
    assert not torch.allclose(synced(images), before)
    layer.norm = nn.GroupNorm(8, 8)
    torch.testing.assert_close(layer(images), layer.norm(layer.conv(images)))


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel_size", [1, 3])
def test_a_conv_norm_keeps_plain_names_and_rounds_half_sides_up(kernel_size, stride):
    layer = ConvNorm(4, 8, kernel_size, "batch", stride)
    assert {name for name, _ in layer.named_parameters()} == {
        "conv.weight",
        "norm.weight",
        "norm.bias",
    }
    side = 7 if stride == 1 else 4
    images = torch.rand(2, 4, 7, 7)
    assert layer(images).shape == layer.eval()(images).shape == (2, 8, side, side)


def test_convolutions_start_with_he_initialisation():
    weight = ConvNorm(64, 128, 3, "batch").conv.weight
    assert weight.std().item() == pytest.approx(math.sqrt(2 / (9 * 128)), rel=0.02)


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_the_average_is_the_mean_and_its_gradient_keeps_the_layout(layout):
    features = torch.rand(2, 3, 5, 4).contiguous(memory_format=layout).requires_grad_()
    torch.testing.assert_close(average(features), features.mean((2, 3)))
    copied = features.clone()
    copied.register_hook(lambda g: layouts.append(g.is_contiguous(memory_format=layout)))
    layouts: list[bool] = []
    average(copied).sum().backward()
    assert layouts == [True]
    torch.testing.assert_close(features.grad, torch.full((2, 3, 5, 4), 1 / 20))
