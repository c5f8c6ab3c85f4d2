"""Networks with a peculiarity, as users write them, and experiments with them."""

from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from runner.data import Dataset
from runner.experiment.experiment import Experiment
from runner.forecast.rehearsal.rehearse import Rehearsed, tried
from runner.models import ImageShape, Model, Normalize
from runner.plan.work import Work, made_ready
from runner.storage.store import Store
from tests.conftest import TINY


class Net(nn.Module):
    """Logistic regression with a peculiarity of its build."""

    num_made = 0  # in this process, for who counts them

    def __init__(self, shape: ImageShape, odd: str) -> None:
        super().__init__()
        Net.num_made += 1
        size, num_classes = shape.channels * shape.height * shape.width, shape.num_classes
        self.odd, self.calls = odd, 0
        self.normalize = Normalize(shape)
        self.last = nn.Linear(size, num_classes + (odd == "one class too many"))
        if odd == "three channels":
            self.conv = nn.Conv2d(3, 4, 3)
        if odd == "one channel":
            self.conv = nn.Conv2d(1, 1, 3, padding=1)
        if odd == "in half precision":
            self.bfloat16()
        if odd == "drawn by numpy":
            self.scale = torch.from_numpy(np.random.standard_normal(size).astype(np.float32))
        if odd == "averages that are not saved":
            self.register_buffer("average", torch.zeros(size), persistent=False)
        if odd == "a file that is not there":
            Path("/nowhere/weights.bin").read_bytes()
        if odd == "sizes from the first image":
            self.last = nn.LazyLinear(num_classes)
        if odd == "begins at zero":
            nn.init.zeros_(self.last.weight)
        if odd == "frozen":
            self.requires_grad_(False)
        if odd == "unused":
            self.other = nn.Linear(2, 2)
        if odd == "batchnorm":
            self.norm = nn.BatchNorm1d(size)
        if odd == "weights that are read":
            assert self.last.weight.sum().item() != 1  # the meta device has no numbers
            self.last.load_state_dict(
                {"weight": torch.ones(num_classes, size), "bias": self.last.bias}
            )

    def forward(self, images: Tensor) -> Any:
        odd = self.odd
        if odd == "in place":
            images = images.sub_(0.1)
        if odd == "a view":
            return self.last(images.transpose(1, 3).view(len(images), -1))
        if "channel" in odd:
            images = self.conv(images)
        features = self.normalize(images).flatten(1)
        if odd == "own normalisation":
            features = features / images.flatten(1).std(1, keepdim=True)
        if odd == "own norm of one value":
            features = features - features.view(len(features), -1, 1).mean(2)
        if odd == "drawn by numpy":
            features = features * self.scale
        if odd == "averages that are not saved":
            if self.training:
                self.get_buffer("average").lerp_(features.detach().mean(0), 0.5)
            features = features - self.average
        if odd == "counts its calls":
            self.calls += 1
            features = features * self.calls
        if odd == "batchnorm":
            features = self.norm(features)
        if odd == "on a GPU":
            features = features.cuda()
        return after(odd, self.last(features))


def after(odd: str, logits: Tensor) -> Any:
    """What it makes of its logits."""
    if odd == "a tuple":
        return logits, None
    if odd == "two axes more":
        return logits[:, :, None, None]
    if odd == "probabilities":
        return logits.softmax(1)
    if odd == "log-probabilities":
        return logits.log_softmax(1)
    if odd == "squeezed":
        return logits.squeeze()
    if odd == "classes":
        return logits.argmax(1)
    if odd == "through numpy":
        return torch.from_numpy(logits.detach().numpy())
    return logits


class Extra(Net):
    """It keeps what is no tensor in its state."""

    def get_extra_state(self) -> dict[str, int]:
        return {"calls": self.calls}

    def set_extra_state(self, state: dict[str, int]) -> None:
        self.calls = state["calls"]


class OddModel(Model):
    name: Literal["odd"] = "odd"
    odd: str

    def build(self, shape: ImageShape) -> nn.Module:
        return (Extra if self.odd == "extra state" else Net)(shape, self.odd)


def experiment_of(odd: str, **changes: Any) -> Experiment:
    """TINY with a peculiar network."""
    arms = changes.pop("arms", TINY["arms"])
    own = {name: {**arm, "model": OddModel(odd=odd)} for name, arm in arms.items()}
    return Experiment.model_validate({**TINY, **changes, "arms": own})


def work_of(experiment: Experiment, dataset: Dataset | None = None) -> Work:
    """The experiment made ready, without a storage."""
    return made_ready(experiment, Store(Path()), dataset, Path())


def rehearsed(experiment: Experiment, dataset: Dataset | None = None) -> Rehearsed:
    """What comes of trying all arms."""
    return tried(work_of(experiment, dataset), [*experiment.arms], set())


def dataset_of(images: np.ndarray, num_classes: int = 3) -> Dataset:
    """A data set of these images (N, channels, H, W) uint8, with every label in turn."""
    labels, channels = np.arange(len(images)) % num_classes, images.shape[1]
    mean, std = (0.5,) * channels, (0.3,) * channels
    return Dataset(images, labels, images[:20], labels[:20], num_classes, mean, std)


def noise(channels: int, height: int, width: int, num: int = 60) -> np.ndarray:
    """Images of noise."""
    return np.random.default_rng(0).integers(0, 256, (num, channels, height, width), np.uint8)
