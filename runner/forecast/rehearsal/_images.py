"""What is asked of the images themselves: labels, augmentation, and the views of them."""

from collections.abc import Iterator

import numpy as np
import torch

from runner.data import VIEWS, Dataset, view
from runner.experiment.config import Fault
from runner.experiment.experiment import Experiment

LOOKED_AT = 256  # images of the pool whose views are compared


def faults_of_data(dataset: Dataset) -> Iterator[Fault]:
    """What a data set, such as one of the user's own code, does not keep of its contract."""
    shape, classes = dataset.pool_images.shape[1:], dataset.num_classes
    splits = {
        "pool": (dataset.pool_images, dataset.pool_labels),
        "test": (dataset.test_images, dataset.test_labels),
    }
    if classes < 2:
        yield Fault("data", f"num_classes is {classes}; expected two classes or more")
    for split, (images, labels) in splits.items():
        plain = images.dtype == (np.float32 if dataset.tabular else np.uint8)
        if not plain or images.ndim != 4 or images.shape[1:] != shape:
            yield Fault(
                "data",
                f"{split}_images: expected (N, channels, H, W) uint8, of one shape with the pool's "
                f"{shape}, got {images.shape} {images.dtype}",
            )
        elif dataset.tabular and not (0 <= images.min(initial=0) <= images.max(initial=0) <= 1):
            yield Fault("data", f"{split}_images: expected float32 in [0, 1], got others too")
        if labels.shape != (len(images),) or labels.dtype != np.int64:
            yield Fault(
                "data",
                f"{split}_labels: expected ({len(images)},) int64, one for each image, got "
                f"{labels.shape} {labels.dtype}",
            )
        elif (out := (labels < 0) | (labels >= classes)).any():
            at = int(np.argmax(out))
            yield Fault(
                "data",
                f"{split}_labels: {int(out.sum())} are none of the classes 0 to {classes - 1}, the "
                f"first at place {at}, which has {labels[at]}; mend the labels or num_classes",
            )
    for key, values in {"mean": dataset.mean, "std": dataset.std}.items():
        sound = np.isfinite(values).all() and (key == "mean" or min(values, default=1) > 0)
        if len(values) != shape[0] or not sound:
            expected = "finite" if key == "mean" else "above 0"
            yield Fault(
                "data", f"{key}: expected {shape[0]} numbers, {expected}, one a channel: {values}"
            )


def faults_of_images(experiment: Experiment, dataset: Dataset) -> Iterator[Fault]:
    """An augmentation or a view that such images do not bear."""
    height, width = dataset.pool_images.shape[2:]
    padding = experiment.data.augment.crop_padding
    if padding >= min(height, width):
        yield Fault(
            "data.augment.crop_padding",
            f"a crop of images of {height}x{width} pixels, moved by up to {padding}, can leave "
            f"nothing of them; use at most {min(height, width) - 1}",
        )
    yield from _of_views(experiment.answers.views, dataset)


def _of_views(names: tuple[str, ...], dataset: Dataset) -> Iterator[Fault]:
    """Views that cannot be had, that leave nothing of an image, or that another one shows."""
    images = torch.from_numpy(dataset.pool_images[:LOOKED_AT])
    height, width = images.shape[2:]
    shown: dict[str, torch.Tensor] = {}
    for name in names:
        _, down, right, outside = VIEWS[name]
        # A corner crop must leave a pixel; a shift by one pixel reflects the second one.
        needs = [abs(down) + 1, abs(right) + 1]
        if height < needs[0] or width < needs[1]:
            left = "nothing of them" if outside == "zeros" else "nothing to reflect at their edge"
            yield Fault(
                "answers.views",
                f"{name} moves images by {abs(down)} rows and {abs(right)} columns, which leaves "
                f"{left} where they have {height}x{width} pixels; it takes {needs[0]}x{needs[1]} "
                "or more: leave the view out",
            )
            continue
        seen = view(images, name)
        if (seen == seen[:1]).all() and not (images == images[:1]).all():
            yield Fault(
                "answers.views",
                f"{name} makes the first {len(images)} images all alike, so that an answer to it "
                "says nothing of an example; leave the view out",
            )
            continue
        if twin := next((other for other, s in shown.items() if torch.equal(s, seen)), None):
            yield Fault(
                "answers.views",
                f"{name} shows the same as {twin} of each of the first {len(images)} images, of "
                f"{height}x{width} pixels; it would count twice in every score: leave it out",
            )
            continue
        shown[name] = seen
