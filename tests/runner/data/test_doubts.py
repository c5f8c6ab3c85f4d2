"""What is odd about images is counted, and what nothing can be learned from is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runner.data import Dataset
from tests.made.datasets import RNG, load


def made(
    folder: Path, images: np.ndarray, labels: np.ndarray | None = None, **more: Any
) -> Dataset:
    """The data of one npz file, all of them in the pool unless it brings a test split."""
    labels = np.arange(len(images)) % 2 if labels is None else labels
    arrays = {"images": images, "labels": labels, **more}
    np.savez(folder / "my.npz", **arrays)  # pyright: ignore[reportArgumentType]
    return load("npz", folder / "my.npz", test_fraction=0)


def noise(num: int = 40) -> np.ndarray:
    return RNG().integers(0, 256, (num, 6, 6), dtype=np.uint8)


def test_of_ordinary_images_nothing_is_said(tmp_path: Path):
    assert made(tmp_path, noise()).remarks == ()


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (noise() // 200, "are black: their brightest pixel is 1 of 255. If they were in"),
        (np.zeros((40, 6, 6), np.uint8), "are black: their brightest pixel is 0 of 255"),
        (np.full((40, 6, 6), 90, np.uint8), "all 40 images of npz are the same"),
        (np.repeat(noise(1), 40, axis=0), "all 40 images of npz are the same"),
    ],
)
def test_images_that_nothing_can_be_learned_from_are_refused(
    tmp_path: Path, images: np.ndarray, said: str
):
    with pytest.raises(ValueError, match=said):
        made(tmp_path, images)


def test_levels_of_0_to_16_are_said_with_what_a_radius_then_means(tmp_path: Path):
    (said,) = made(tmp_path, noise() // 16 + 1).remarks
    assert "brightest pixel of all images is 16 of 255" in said
    assert "moves them by 16 times as much" in said


def test_images_of_one_colour_are_counted(tmp_path: Path):
    images = noise()
    images[:3] = np.array([0, 255, 7], np.uint8)[:, None, None]
    (said,) = made(tmp_path, images).remarks
    assert said.startswith("3 of the pool's 40 images show one colour")


def test_images_that_are_there_twice_are_counted_by_whether_their_labels_agree(tmp_path: Path):
    """Three twice under one label, one three times under two."""
    images, labels = noise(), np.zeros(40, np.int64)
    labels[20:] = 1
    images[5:8] = images[1:4]
    images[[10, 30]] = images[9]
    (said,) = made(tmp_path, images, labels).remarks
    assert said.startswith("9 of the pool's 40 images are there more than once, 3 of them under")


@pytest.mark.parametrize("ending", [0, 7])
def test_test_images_that_are_in_the_pool_are_counted(tmp_path: Path, ending: int):
    """Zeros at the end of an image make no other image the same."""
    images = noise()
    images[:, -1] = ending
    test = np.concatenate([images[[3, 3, 9]], noise(48)[40:]])
    (said,) = made(tmp_path, images, test_images=test, test_labels=np.arange(11) % 2).remarks
    assert said.startswith("3 of the 11 test images are in the pool too")


def test_a_class_without_an_example_is_said(tmp_path: Path):
    """By a draw of too few, and where a rare class's only example went into the test split."""
    few = load("digits", num_examples=7).remarks
    assert any("no example of the pool is of the classes 7, 8, 9, so that" in said for said in few)
    assert load("digits", num_examples=10).remarks == ()
    labels = np.append(np.arange(40) % 2, 2)
    np.savez(tmp_path / "my.npz", images=noise(41), labels=labels)
    rare = load("npz", tmp_path / "my.npz", test_fraction=0.6)
    assert 2 in rare.test_labels
    assert any("no example of the pool is of the classes 2," in said for said in rare.remarks)
