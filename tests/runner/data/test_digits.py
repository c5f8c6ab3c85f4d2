"""scikit-learn's digits, as the source has them."""

from typing import Any

import numpy as np
from sklearn.datasets import load_digits

from tests.made.datasets import load, rows


def source() -> Any:
    """scikit-learn's digits, whose type depends on the arguments."""
    return load_digits()


def test_digits_are_scikit_learns_grey_levels_stretched_to_255():
    loaded = load("digits", pool="train+test")
    stretched = np.array([round(k * 255 / 16) for k in range(17)], dtype=np.uint8)
    assert stretched[[0, 16]].tolist() == [0, 255]
    expected = stretched[source().images.astype(int)]
    assert loaded.pool_images.shape == (1797, 1, 8, 8)
    assert rows(loaded.pool_images) == rows(expected)


def test_digits_are_split_into_1400_and_397_with_each_class_in_proportion():
    loaded = load("digits")
    assert loaded.pool_images.shape == (1400, 1, 8, 8)
    assert loaded.test_images.shape == (397, 1, 8, 8)
    whole = np.bincount(source().target)
    assert np.abs(np.bincount(loaded.test_labels) - whole * 397 / 1797).max() <= 1
    assert np.array_equal(np.bincount(loaded.pool_labels) + np.bincount(loaded.test_labels), whole)


def test_digits_labels_follow_their_images_through_the_split():
    whole = source()
    images = np.rint(whole.data * 255 / 16).astype(np.uint8)
    label_of = {image.tobytes(): label for image, label in zip(images, whole.target, strict=True)}
    assert len(label_of) == 1797
    loaded = load("digits")
    pool, test = rows(loaded.pool_images), rows(loaded.test_images)
    assert pool | test == set(label_of)
    assert not pool & test
    for images, labels in (
        (loaded.pool_images, loaded.pool_labels),
        (loaded.test_images, loaded.test_labels),
    ):
        assert [label_of[image.tobytes()] for image in images] == labels.tolist()
