"""GroupNorm with enough values a group, and what a look at any network's norms finds."""

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from runner.norms import NEEDED, WANTED, GroupNorm, least_batch, narrow_norms
from tests.made.networks import DIGITS, NORMED, images_of, make


@pytest.mark.parametrize(
    ("channels", "sides", "groups"),
    [
        (64, (), 8),  # what BatchNorm1d normalises
        (16, (), 2),
        (64, (1, 1), 8),
        (64, (2, 1), 16),
        (64, (2, 2), 32),  # 8 values: as ever
        (32, (2, 2), 16),
        (16, (2, 2, 2), 16),
        (512, (4, 4), 32),
        (8, (8, 8), 8),
        (48, (1,), 4),  # 12 values a group; 6 would be too few
        (33, (1, 1), 1),
        (6, (1, 1), 1),
        (2, (), 1),
    ],
)
def test_groups_have_8_values_where_the_features_have_so_many(channels, sides, groups):
    norm, features = GroupNorm(channels).double(), torch.randn(3, channels, *sides).double()
    parts = features.reshape(3, groups, -1)
    mean, var = parts.mean(2, keepdim=True), parts.var(2, keepdim=True, correction=0)
    by_hand = ((parts - mean) / (var + 1e-5).sqrt()).reshape(features.shape)
    torch.testing.assert_close(norm(features), by_hand, rtol=0, atol=1e-10)


def test_no_group_can_be_split_further_without_too_few_values():
    for channels in range(1, 130):
        for positions in (1, 2, 3, 4, 6, 9, 16, 49):
            most = math.gcd(32, channels)
            groups = GroupNorm(channels).groups_of(torch.empty(1, channels, positions))
            enough = [g for g in (1, 2, 4, 8, 16, 32) if g <= most]
            enough = [g for g in enough if channels * positions / g >= WANTED] or [1]
            assert groups == max(enough)


@pytest.mark.parametrize("fields", NORMED, ids=str)
@pytest.mark.parametrize("sides", [(8, 8), (4, 4), (1, 12), (3, 3)])
def test_our_networks_keep_a_gradient_behind_every_group_norm(fields, sides):
    """Of a group with one value it would be zero, with two nearly so."""
    shape = DIGITS._replace(height=sides[0], width=sides[1])
    model = make({**fields, "norm": "group"}, shape).double()
    model(images_of(shape).double()).square().sum().backward()
    assert narrow_norms(model.float(), images_of(shape), 1) == []
    for name, p in model.named_parameters():
        assert p.grad is not None
        assert p.grad.abs().max() > 1e-6, name


class Calls(nn.Module):
    """Runs something on features of some shape."""

    def __init__(self, run: Callable[[Tensor], Tensor], *shape: int) -> None:
        super().__init__()
        self.norm, self.shape = run, shape

    def forward(self, images: Tensor) -> Tensor:
        features = images.flatten(1)[:, : math.prod(self.shape)].reshape(len(images), *self.shape)
        return self.norm(features)


def layer_norm(features: Tensor) -> Tensor:
    return F.layer_norm(features, features.shape[-1:])


def group_norm(features: Tensor) -> Tensor:
    return torch.group_norm(features, 8)


@pytest.mark.parametrize(
    ("norm", "shape", "batch_size", "values"),
    [
        (nn.BatchNorm1d(16), (16,), 3, 3),
        (nn.BatchNorm1d(16), (16,), 4, None),
        (nn.BatchNorm2d(4), (4, 2, 1), 1, 2),
        (nn.BatchNorm3d(4), (4, 1, 1, 1), 2, 2),
        (nn.BatchNorm2d(4, affine=False), (4, 2, 2), 1, None),
        (nn.GroupNorm(8, 16), (16,), 64, 2),
        (nn.GroupNorm(16, 16), (16, 1, 1), 64, 1),
        (nn.GroupNorm(4, 16), (16,), 64, None),
        (nn.InstanceNorm2d(4), (4, 1, 1), 64, 1),
        (nn.InstanceNorm1d(4, track_running_stats=True), (4, 3), 64, 3),
        (nn.InstanceNorm2d(4), (4, 2, 2), 64, None),
        (nn.LayerNorm(1), (16, 1), 64, 1),
        (nn.LayerNorm([1, 2]), (8, 1, 2), 64, 2),
        (nn.RMSNorm(2), (8, 2), 64, 2),
        (nn.RMSNorm(3), (8, 3), 64, None),
        (layer_norm, (8, 3), 64, 3),  # which no module holds
        (group_norm, (16,), 64, 2),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_a_norm_over_too_few_values_is_told_with_their_number(
    norm, shape, batch_size, values, device
):
    network = Calls(norm, *shape).to(device)
    told = narrow_norms(network, torch.rand(2, 1, 8, 8, device=device), batch_size)
    assert len(told) == (values is not None)
    for sentence in told:
        assert f"normalises {values} value{'s' * (values > 1)} at a time" in sentence
        assert ("in norm " in sentence) == isinstance(norm, nn.Module)
        assert ("batch_size" in sentence) == isinstance(norm, nn.modules.batchnorm._BatchNorm)
    assert (values is None) == (values not in range(NEEDED - isinstance(norm, nn.RMSNorm)))


def test_layers_that_are_wrong_alike_make_one_sentence():
    network = nn.Sequential(*(nn.GroupNorm(64, 64) for _ in range(3)))
    (told,) = narrow_norms(network, torch.rand(2, 64, 1, 1), 8)
    assert told.startswith("the GroupNorm in 0 (like 2 others) normalises 1 value at a time, ")
    assert "more channels in a group" in told


def test_a_batch_norm_that_answers_images_by_their_batch_mates_is_told():
    norm = nn.BatchNorm2d(4, track_running_stats=False)
    (told,) = narrow_norms(Calls(norm, 4, 4, 4), torch.rand(2, 1, 8, 8), 32)
    assert told.startswith("the BatchNorm in norm keeps no running statistics")
    frozen = Calls(nn.BatchNorm2d(4), 4, 4, 4)
    assert narrow_norms(frozen, torch.rand(2, 1, 8, 8), 32) == []


@pytest.mark.parametrize(("side", "least"), [(1, 8), (2, 2), (3, 1), (8, 1)])
def test_a_batch_has_8_values_a_channel_at_the_smallest_map(side: int, least: int):
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Dropout(), nn.Flatten())
    images = torch.zeros(2, 1, side + 2, side + 2)
    before = {name: t.clone() for name, t in network.state_dict().items()}
    state = torch.get_rng_state()
    assert least_batch(network, images) == least
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(before[name], t) for name, t in network.state_dict().items())


def test_without_batch_norm_one_image_is_a_batch():
    shape = DIGITS
    for norm in ("group", "batch"):
        network = make({"name": "resnet18", "width": 4, "norm": norm}, shape)
        assert least_batch(network, images_of(shape)) == {"group": 1, "batch": 8}[norm]
