"""ResNets' sizes, joins, statistics and layout in memory."""

import pytest
import torch
from torch import Tensor, nn

from attacks.by_name import find
from runner.models import ImageShape, Model
from runner.models._layers import ConvNorm, Join
from runner.models._resnet import Network
from tests.made.networks import CIFAR, DIGITS, FASHION, images_of, make, num_parameters


@pytest.mark.parametrize(
    ("fields", "published"),
    [
        ({"name": "resnet18"}, 11_173_962),
        ({"name": "resnet50"}, 23_520_842),
    ],
)
def test_published_sizes_have_the_published_number_of_parameters(fields, published):
    assert num_parameters(make(fields, CIFAR)) == published


@pytest.mark.parametrize(
    ("name", "published"), [("resnet18", 11_689_512), ("resnet50", 25_557_032)]
)
def test_with_a_large_stem_it_is_the_network_of_imagenet(name: str, published: int):
    shape = ImageShape(3, 224, 224, 1000, (0.0,) * 3, (1.0,) * 3)
    with torch.device("meta"):
        network = make({"name": name, "stem": "large"}, shape)
        assert isinstance(network, Network)
        found = network.pool(network.stem(torch.empty(2, 3, 224, 224)))
    assert num_parameters(network) == published
    assert found.shape == (2, 64, 56, 56)


def test_a_small_stem_is_not_said_so_that_stored_runs_keep_their_ids():
    kind = find("runner.models", "resnet18", Model)
    small, large = (kind.model_validate({"name": "resnet18", **s}) for s in ({}, {"stem": "large"}))
    assert small.model_dump(mode="json") == {"name": "resnet18", "width": None, "norm": "batch"}
    assert large.model_dump(mode="json")["stem"] == "large"


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


def test_an_unknown_size_of_resnet_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"resnet34.*resnet18, resnet50, resnet8"):
        find("runner.models", "resnet34", Model)
