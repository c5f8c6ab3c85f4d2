"""Views, crops and labels that images of some shape do not bear."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from runner.data import VIEWS, Dataset
from runner.experiment.experiment import Experiment
from tests.conftest import TINY
from tests.made.odd_networks import dataset_of, noise, rehearsed

MLP = {"name": "mlp", "hidden": [4]}
ERM = {"erm": {"defense": {"name": "erm"}}}


def told(dataset: Dataset, views: list[str], **changes: Any) -> list[str]:
    """The reasons why these views are refused."""
    answers = {"views": views}
    made = {**TINY, "model": MLP, "arms": ERM, "answers": answers, **changes}
    return [fault.reason for fault in rehearsed(Experiment.model_validate(made), dataset).faults]


@pytest.mark.parametrize(
    ("height", "width", "bad"),
    [
        (1, 12, ["shift_up", "flip_shift_down", "corner_top_left"]),
        (12, 1, ["shift_left", "shift_up_right", "flip_corner_bottom_right"]),
        (1, 1, ["shift_down"]),
        (3, 3, ["corner_top_left"]),
        (4, 4, ["corner_top_left", "flip_corner_bottom_right"]),
        (4, 9, ["corner_top_right"]),
        (9, 4, ["corner_top_right"]),
    ],
)
def test_views_that_leave_nothing_of_an_image_are_refused(height: int, width: int, bad: list[str]):
    faults = told(dataset_of(noise(1, height, width)), ["identity", *bad])
    assert [fault.split()[0] for fault in faults] == bad
    assert all(f"where they have {height}x{width} pixels" in fault for fault in faults)


@pytest.mark.parametrize("side", [5, 8])
def test_images_that_keep_a_pixel_bear_every_view(side: int):
    assert told(dataset_of(noise(3, side, side)), [*VIEWS]) == []


def test_a_view_that_makes_all_images_alike_is_refused():
    """A corner crop of images with a black edge of 4 pixels, as those of MNIST have."""
    images = noise(1, 12, 12)
    images[:, :, :8] = 0
    faults = told(dataset_of(images), ["identity", "corner_top_left"])
    assert [fault.split()[0] for fault in faults] == ["corner_top_left"]
    assert "makes the first 60 images all alike" in faults[0]


def test_two_views_that_show_the_same_are_refused():
    """On images of two columns a shift is a flip, and on one column a flip is none."""
    two = told(dataset_of(noise(1, 6, 2)), ["identity", "flip", "shift_left"])
    assert [fault.split(" images,")[0] for fault in two] == [
        "shift_left shows the same as flip of each of the first 60"
    ]
    one = told(dataset_of(noise(1, 6, 1)), ["identity", "flip"])
    assert one[0].startswith("flip shows the same as identity")


@pytest.mark.parametrize(("padding", "refused"), [(3, False), (4, True), (9, True)])
def test_a_crop_that_can_leave_nothing_of_an_image_is_refused(padding: int, refused: bool):
    data = {**TINY["data"], "augment": {"crop_padding": padding, "flip": True}}
    faults = told(dataset_of(noise(1, 4, 7)), ["identity"], data=data)
    assert bool(faults) == refused
    assert not refused or "can leave nothing of them; use at most 3" in faults[0]


def test_what_a_data_set_of_ones_own_does_not_keep_is_said():
    good = dataset_of(noise(2, 4, 4))
    labels = good.pool_labels.copy()
    labels[[7, 9]] = 3, -1
    assert told(replace(good, pool_labels=labels), ["identity"]) == [
        "pool_labels: 2 are none of the classes 0 to 2, the first at place 7, which has 3; mend "
        "the labels or num_classes"
    ]
    for changes, why in (
        ({"test_images": good.test_images[:, :, :3]}, "test_images: expected"),
        ({"pool_images": good.pool_images.astype(np.float32)}, "float32"),
        ({"test_labels": good.test_labels[:3]}, "test_labels: expected (20,) int64"),
        ({"std": (0.1,)}, "std: expected 2 numbers, above 0, one a channel"),
        ({"std": (0.1, 0.0)}, "std: expected 2 numbers"),
        ({"mean": (0.1, float("nan"))}, "mean: expected 2 numbers, finite"),
    ):
        faults = told(replace(good, **changes), ["identity"])
        assert len(faults) == 1
        assert why in faults[0]
    one_class = replace(good, num_classes=1, pool_labels=0 * labels, test_labels=labels[:20] * 0)
    assert "expected two classes or more" in told(one_class, ["identity"])[0]
