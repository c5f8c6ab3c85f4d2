"""SVHN, read from small files of the published format."""

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat
from torchvision import datasets

from runner.data.svhn import SUMS, URL
from tests.made.datasets import load, write_svhn


def test_svhn_files_are_read_and_class_ten_is_the_digit_zero(tmp_path: Path):
    images, labels = write_svhn(tmp_path)
    loaded = load("svhn", tmp_path)
    assert np.array_equal(loaded.pool_images, images[:11])
    assert np.array_equal(loaded.test_images, images[11:])
    assert loaded.pool_labels.tolist() == labels[:11].tolist() == [*range(10), 0]
    assert loaded.test_labels.tolist() == labels[11:].tolist()


def test_missing_svhn_is_an_error_that_says_what_to_do(tmp_path: Path):
    with pytest.raises(ValueError, match=r"no SVHN under .*put train_32x32.mat and test_32x32.mat"):
        load("svhn", tmp_path)


def test_a_truncated_svhn_file_is_named(tmp_path: Path):
    write_svhn(tmp_path)
    file = tmp_path / "test_32x32.mat"
    file.write_bytes(file.read_bytes()[:2000])
    with pytest.raises(ValueError, match=f"cannot read '{file}'"):
        load("svhn", tmp_path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"y": np.ones((2, 1))}, "KeyError: 'X'"),
        ({"X": np.zeros((32, 32, 3, 2)), "y": np.ones((2, 1))}, "expected X as"),
        ({"X": np.zeros((32, 32, 3, 3), np.uint8), "y": np.ones((2, 1))}, "expected X as"),
        ({"X": np.zeros((32, 32, 3, 2), np.uint8), "y": np.zeros((2, 1))}, "expected labels 1 to"),
    ],
)
def test_an_svhn_file_with_other_content_is_named(tmp_path: Path, content: dict, said: str):
    write_svhn(tmp_path)
    file = tmp_path / "train_32x32.mat"
    savemat(file, content)
    with pytest.raises(ValueError, match=f"cannot read '{file}': {said}"):
        load("svhn", tmp_path)


def test_addresses_and_checksums_are_torchvisions():
    for part, md5 in SUMS.items():
        file = f"{part}_32x32.mat"
        assert datasets.SVHN.split_list[part] == [URL + file, file, md5]
