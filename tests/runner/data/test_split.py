"""Draws from a pool and its statistics, against counts and numpy."""

import numpy as np
import pytest

from runner.data._split import balanced, pixel_statistics, proportional
from tests.made.datasets import RNG


def test_a_balanced_draw_takes_all_of_a_class_that_runs_out():
    labels = np.repeat([0, 1, 2], [2, 10, 30])
    chosen = balanced(labels, 20)
    assert np.bincount(labels[chosen]).tolist() == [2, 9, 9]
    assert len(set(chosen)) == 20
    assert (np.diff(chosen) > 0).all()


def test_a_balanced_draw_is_random_within_its_class():
    chosen = balanced(np.zeros(1000, dtype=np.int64), 500)
    assert 200 < (chosen < 500).sum() < 300


@pytest.mark.parametrize("count", [0, 1, 17, 250, 499, 500])
def test_a_proportional_draw_keeps_each_share_to_within_one(count: int):
    labels = RNG().choice(4, size=500, p=[0.5, 0.3, 0.15, 0.05])
    taken = np.bincount(labels[proportional(labels, count)], minlength=4)
    assert taken.sum() == count
    assert np.abs(taken - np.bincount(labels) * count / 500).max() <= 1


def test_pixel_statistics_are_numpys_mean_and_std_in_float64():
    images = RNG().integers(0, 256, (5000, 3, 4, 5), dtype=np.uint8)
    images[:, 1] //= 3
    mean, std = pixel_statistics(images)
    scaled = images.astype(np.float64) / 255
    assert mean == pytest.approx(scaled.mean(axis=(0, 2, 3)), abs=5.1e-5)
    assert std == pytest.approx(scaled.std(axis=(0, 2, 3)), abs=5.1e-5)
    assert all(round(x, 4) == x for x in (*mean, *std))


def test_pixel_statistics_do_not_depend_on_the_order_of_images():
    images = RNG().integers(0, 256, (5000, 1, 3, 3), dtype=np.uint8)
    assert pixel_statistics(images) == pixel_statistics(images[::-1])


def test_a_constant_channel_is_divided_by_one():
    assert pixel_statistics(np.full((2, 1, 2, 2), 255, np.uint8)) == ((1.0,), (1.0,))
