"""Fashion-MNIST's published statistics, and the real files where they are installed."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from runner.data._split import pixel_statistics
from tests.made.datasets import load, write_idx

DEBIAN = Path("/usr/share/datasets/fashion-mnist")


def test_published_statistics_stay_those_of_all_classes_and_others_are_the_pools(tmp_path: Path):
    arrays = write_idx(tmp_path, zipped=False)
    old = arrays["train-labels-idx1-ubyte"]
    a, b = np.unique(old)[-2:].tolist()
    kept = (old == a) | (old == b)
    assert 0 < kept.sum() < 12
    whole, some = (load("fashion_mnist", tmp_path, classes=c) for c in (None, [b, a]))
    assert np.array_equal(some.pool_images[:, 0], arrays["train-images-idx3-ubyte"][kept])
    assert np.array_equal(some.pool_labels, old[kept] == a)
    assert (some.mean, some.std) == (whole.mean, whole.std) == ((0.2860,), (0.3530,))
    digits = load("digits", classes=[1, 7])
    assert (digits.mean, digits.std) == pixel_statistics(digits.pool_images)
    assert digits.mean != load("digits").mean


@pytest.mark.skipif(not DEBIAN.is_dir(), reason="dataset-fashion-mnist is not installed")
def test_the_real_fashion_mnist_is_read_as_an_independent_parser_reads_it():
    loaded = load("fashion_mnist", DEBIAN)
    assert loaded.pool_images.shape == (60_000, 1, 28, 28)
    assert loaded.test_images.shape == (10_000, 1, 28, 28)
    assert loaded.pool_labels[:10].tolist() == [9, 0, 0, 3, 0, 2, 7, 2, 5, 5]
    assert loaded.test_labels[:10].tolist() == [9, 2, 1, 1, 6, 1, 4, 6, 5, 7]
    assert np.bincount(loaded.pool_labels).tolist() == [6000] * 10
    for name, images in (("train", loaded.pool_images), ("t10k", loaded.test_images)):
        with gzip.open(DEBIAN / f"{name}-images-idx3-ubyte.gz") as file:
            assert struct.unpack(">4I", file.read(16)) == (0x803, len(images), 28, 28)
            assert int(images.sum(dtype=np.int64)) == np.frombuffer(file.read(), np.uint8).sum()
    assert (loaded.mean, loaded.std) == pixel_statistics(loaded.pool_images)
