"""The four files in which MNIST is published, and what is wrong with them."""

from pathlib import Path

import numpy as np
import pytest
from torchvision import datasets

from runner.data._idx import NAMES
from tests.made.datasets import idx, load, write_idx


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("inside", ["", "MNIST/raw", "FashionMNIST/raw"])
def test_idx_files_are_read_from_the_root_and_from_torchvisions_folder(
    tmp_path: Path, inside: str, zipped: bool
):
    arrays = write_idx(tmp_path / inside, zipped)
    before = sorted(tmp_path.rglob("*"))
    loaded = load("mnist" if inside.startswith("MNIST") else "fashion_mnist", tmp_path)
    assert np.array_equal(loaded.pool_images[:, 0], arrays["train-images-idx3-ubyte"])
    assert np.array_equal(loaded.pool_labels, arrays["train-labels-idx1-ubyte"])
    assert np.array_equal(loaded.test_images[:, 0], arrays["t10k-images-idx3-ubyte"])
    assert np.array_equal(loaded.test_labels, arrays["t10k-labels-idx1-ubyte"])
    assert sorted(tmp_path.rglob("*")) == before


def test_one_missing_file_of_four_is_missing(tmp_path: Path):
    write_idx(tmp_path, zipped=False)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(ValueError, match="no MNIST under"):
        load("mnist", tmp_path)


@pytest.mark.parametrize("zipped", [False, True])
def test_a_truncated_idx_file_is_named(tmp_path: Path, zipped: bool):
    write_idx(tmp_path, zipped)
    file = tmp_path / ("train-images-idx3-ubyte" + ".gz" * zipped)
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(ValueError, match=f"cannot read '{file}'"):
        load("mnist", tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("train-images-idx3-ubyte", b"<html>404</html>", "expected an idx file"),
        ("train-images-idx3-ubyte", b"", "expected an idx file"),
        ("t10k-labels-idx1-ubyte", idx(np.arange(4)), "4 labels for the 5 images"),
        ("t10k-labels-idx1-ubyte", idx(np.full(5, 10)), "expected labels 0 to 9, got 10"),
    ],
)
def test_an_idx_file_with_other_content_is_named(
    tmp_path: Path, name: str, content: bytes, said: str
):
    write_idx(tmp_path, zipped=False)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=f"cannot read '{tmp_path / name}': {said}"):
        load("mnist", tmp_path)


@pytest.mark.parametrize("published", [datasets.MNIST, datasets.FashionMNIST])
def test_the_files_are_called_as_torchvision_calls_them(published: type[datasets.MNIST]):
    assert [name for name, _ in published.resources] == [f"{name}.gz" for name in NAMES]
