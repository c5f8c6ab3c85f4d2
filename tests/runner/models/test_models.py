import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from attacks.by_name import find
from runner.models import ImageShape, Model, Normalize
from runner.models._layers import ConvNorm, Join, average

DIGITS = ImageShape(1, 8, 8, 10, (0.3,), (0.4,))
FASHION = ImageShape(1, 28, 28, 10, (0.286,), (0.353,))
CIFAR = ImageShape(3, 32, 32, 10, (0.49, 0.48, 0.45), (0.25, 0.24, 0.26))

SMALL: list[dict[str, Any]] = [
    {"name": "resnet8"},
    {"name": "resnet18", "width": 4},
    {"name": "resnet50", "width": 2},
    {"name": "wide_resnet", "depth": 10, "widen_factor": 1},
    {"name": "small_cnn"},
    {"name": "mlp"},
]
NORMED = SMALL[:-1]  # those with a `norm` field


def make(fields: dict[str, Any], shape: ImageShape, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    model = find("runner.models", fields["name"], Model).model_validate(fields).build(shape)
    return model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


def images_of(shape: ImageShape, n: int = 4) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(n, shape.channels, shape.height, shape.width, generator=generator)


def num_parameters(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def randomize_norms(model: nn.Module) -> None:
    """Give every BatchNorm the statistics and weights of a trained net, not 0 and 1."""
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):
            assert norm.running_mean is not None
            assert norm.running_var is not None
            norm.running_mean.normal_(0, 0.3)
            norm.running_var.uniform_(0.5, 2)
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.normal_(norm.bias, 0, 0.3)


def with_convolutions_and_norms_apart(model: nn.Module, run: Callable[[], Tensor]) -> Tensor:
    """Run with every ConvNorm calling its two modules: the slow oracle of folding."""
    folded = ConvNorm.forward
    try:
        ConvNorm.forward = lambda self, images: self.norm(self.conv(images))
        return run()
    finally:
        ConvNorm.forward = folded


@pytest.mark.parametrize(
    ("fields", "published"),
    [
        ({"name": "resnet18"}, 11_173_962),
        ({"name": "resnet50"}, 23_520_842),
        ({"name": "wide_resnet"}, 36_479_194),
        ({"name": "wide_resnet", "widen_factor": 2}, 1_467_610),
    ],
)
def test_published_sizes_have_the_published_number_of_parameters(fields, published):
    assert num_parameters(make(fields, CIFAR)) == published


@pytest.mark.parametrize("width", [16, 5])
def test_resnet8_has_seven_3x3_convolutions_two_projections_and_a_linear_layer(width):
    w = width
    convolutions = 9 * (1 * w + 2 * w * w + 2 * w * w + 4 * w * w + 8 * w * w + 16 * w * w)
    projections = w * 2 * w + 2 * w * 4 * w
    norms = 2 * (3 * w + 3 * 2 * w + 3 * 4 * w)
    linear = 4 * w * 10 + 10
    model = make({"name": "resnet8", "width": width}, FASHION)
    assert num_parameters(model) == convolutions + projections + norms + linear
    assert make({"name": "resnet8"}, FASHION).get_submodule("linear").weight.shape == (10, 64)


@pytest.mark.parametrize("hidden", [(), (7,), (7, 3)])
def test_an_mlp_has_a_weight_per_pair_of_units(hidden):
    sizes = (64, *hidden, 10)
    expected = sum((a + 1) * b for a, b in pairwise(sizes))
    assert num_parameters(make({"name": "mlp", "hidden": hidden}, DIGITS)) == expected


@pytest.mark.parametrize(
    ("shape", "num_convolutions", "num_features"),
    [
        (DIGITS, 2, 64 * 4 * 4),
        (FASHION, 4, 128 * 4 * 4),
        (CIFAR, 4, 128 * 4 * 4),
        (DIGITS._replace(height=16), 3, 128 * 4 * 2),
    ],
)
def test_a_small_cnn_halves_the_sides_until_4x4_positions_are_left(
    shape, num_convolutions, num_features
):
    model = make({"name": "small_cnn"}, shape)
    assert sum(isinstance(m, nn.Conv2d) for m in model.modules()) == num_convolutions
    (linear,) = (m for m in model.modules() if isinstance(m, nn.Linear))
    assert linear.in_features == num_features


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


def test_a_small_cnn_without_norm_has_biased_convolutions_and_no_norm():
    model = make({"name": "small_cnn", "norm": "none"}, DIGITS)
    assert all(m.bias is not None for m in model.modules() if isinstance(m, nn.Conv2d))
    assert not any("Norm2d" in type(m).__name__ for m in model.modules())


@pytest.mark.parametrize("fields", SMALL, ids=str)
def test_every_parameter_gets_a_gradient_in_train_and_eval_mode(fields):
    for training in (True, False):
        model = make(fields, DIGITS).train(training)
        model(images_of(DIGITS)).square().sum().backward()
        for name, parameter in model.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.abs().sum() > 0, name


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


def test_running_statistics_move_in_train_mode_only():
    model = make({"name": "resnet8"}, DIGITS)
    images = images_of(DIGITS)
    buffers = {k: v.clone() for k, v in model.named_buffers()}
    model.eval()(images)
    assert all(torch.equal(buffers[k], v) for k, v in model.named_buffers())
    model.train()(images)
    stem = model.get_submodule("stem.conv")(model.get_submodule("normalize")(images))
    torch.testing.assert_close(
        model.get_buffer("stem.norm.running_mean"), 0.1 * stem.mean((0, 2, 3)).detach()
    )
    moved = {k for k, v in model.named_buffers() if not torch.equal(buffers[k], v)}
    assert moved == {k for k in buffers if "running" in k or "num_batches" in k}


@pytest.mark.parametrize("fields", SMALL, ids=str)
def test_the_same_seed_gives_the_same_bits(fields):
    one, two, other = (make(fields, DIGITS, seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(one[k], two[k]) for k in one)
    assert any(not torch.equal(one[k], other[k]) for k in one)


def test_convolutions_start_with_he_initialisation():
    weight = ConvNorm(64, 128, 3, "batch").conv.weight
    assert weight.std().item() == pytest.approx(math.sqrt(2 / (9 * 128)), rel=0.02)


@pytest.mark.parametrize("fields", SMALL, ids=str)
def test_pixels_are_normalised_inside_the_model(fields):
    model = make(fields, CIFAR).eval()
    assert isinstance(next(m for m in model.modules() if not list(m.children())), Normalize)
    plain = make(fields, CIFAR._replace(mean=(0.0,) * 3, std=(1.0,) * 3)).eval()
    images = images_of(CIFAR)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (CIFAR.mean, CIFAR.std))
    torch.testing.assert_close(model(images), plain((images - mean) / std))


@pytest.mark.parametrize(("name", "num_blocks"), [("resnet8", 3), ("resnet18", 8)])
def test_each_residual_block_ends_in_a_join_that_may_be_replaced(name, num_blocks):
    model = make({"name": name, "width": 4}, DIGITS).eval()
    images = images_of(DIGITS)
    before = model(images)
    blocks = [m for m in model.modules() if isinstance(getattr(m, "join", None), Join)]
    assert len(blocks) == num_blocks

    class MappingOnly(nn.Module):
        def forward(self, shortcut: Tensor, mapping: Tensor) -> Tensor:
            return mapping

    for block in blocks:
        block.join = MappingOnly()
    features = torch.relu(model.get_submodule("stem")(model.get_submodule("normalize")(images)))
    for block in blocks:
        features = torch.relu(block.get_submodule("mapping")(features))
    expected = model.get_submodule("linear")(features.mean((2, 3)))
    torch.testing.assert_close(model(images), expected)
    assert not torch.allclose(before, expected)


def test_channels_last_reaches_every_convolution_even_from_one_channel():
    model = make({"name": "resnet8"}, FASHION)
    seen: list[bool] = []
    for m in model.modules():
        if isinstance(m, ConvNorm):
            m.register_forward_hook(
                lambda _m, _i, out: seen.append(
                    out.is_contiguous(memory_format=torch.channels_last)
                )
            )
    model.train()(images_of(FASHION))
    model.eval()(images_of(FASHION))
    assert seen == [True] * 18


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


@pytest.mark.parametrize(("depth", "hint"), [(29, "28 or 34"), (4, "use 10"), (27, "22 or 28")])
def test_a_wide_resnet_of_another_depth_is_refused_with_the_nearest_ones(depth, hint):
    wide_resnet = find("runner.models", "wide_resnet", Model)
    with pytest.raises(ValidationError, match=rf"6n \+ 4.*got {depth}.*{hint}"):
        wide_resnet.model_validate({"name": "wide_resnet", "depth": depth})


def test_an_unknown_size_of_resnet_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"resnet34.*resnet18, resnet50, resnet8"):
        find("runner.models", "resnet34", Model)
