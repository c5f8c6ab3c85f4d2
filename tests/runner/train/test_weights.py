"""Weights that share memory are written, and share it again in the network that is loaded."""

from dataclasses import replace
from typing import Literal

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from runner.models import ImageShape, Model, Normalize
from runner.plan.work import Work
from runner.storage import store
from runner.train.fit import build_model
from runner.train.train import train
from runner.train.weights import put_weights, weights_to_bytes
from runner.train.workplace import Workplace, weights_file


class Tied(nn.Module):
    """Two layers with one matrix between them; a convolution over three axes on request."""

    def __init__(self, shape: ImageShape, deep: bool) -> None:
        super().__init__()
        self.normalize = Normalize(shape)
        self.deep = nn.Conv3d(shape.channels, shape.channels, 1) if deep else nn.Identity()
        self.first = nn.Linear(64, 64)
        self.second = nn.Linear(64, 64)
        self.second.weight = self.first.weight
        self.last = nn.Linear(64, shape.num_classes)

    def forward(self, images: Tensor) -> Tensor:
        features = self.deep(self.normalize(images)[:, :, None]).flatten(1)
        return self.last(torch.relu(self.second(torch.relu(self.first(features)))))


class TiedModel(Model):
    name: Literal["tied"] = "tied"
    deep: bool = False

    def build(self, shape: ImageShape) -> nn.Module:
        return Tied(shape, self.deep)


@pytest.mark.parametrize("deep", [False, True])
def test_tied_weights_are_trained_saved_and_tied_again(place: Workplace, work: Work, deep: bool):
    run = replace(work.plan.arms["erm"][0], model=TiedModel(deep=deep))
    train(run, place)
    model = place.trained(run)
    assert model.get_parameter("first.weight") is model.get_parameter("second.weight")
    at_first = build_model(run, place.shape, place.device).get_parameter("first.weight")
    assert not torch.equal(model.get_parameter("first.weight"), at_first)
    written = safetensors.torch.load(store.read(work.store.run(run.id), weights_file("last")))
    assert torch.equal(written["first.weight"], written["second.weight"])


def test_parts_of_one_buffer_are_written_each_by_itself():
    class Parts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            whole = torch.arange(12.0)
            self.register_buffer("left", whole[:8])
            self.register_buffer("right", whole[4:].view(2, 4))

    here, there = Parts(), Parts()
    there.get_buffer("left").zero_()
    put_weights(there, weights_to_bytes(here.state_dict()))
    assert there.get_buffer("right").flatten().tolist() == list(range(4, 12))


def test_weights_are_written_row_by_row_whatever_their_layout():
    conv = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    plain = nn.Conv2d(3, 4, 3)
    plain.load_state_dict(conv.state_dict())
    assert weights_to_bytes(conv.state_dict()) == weights_to_bytes(plain.state_dict())
