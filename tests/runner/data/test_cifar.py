"""CIFAR-10 and CIFAR-100, read from small files of the published formats."""

import io
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest

from tests.made.datasets import load, write_cifar
from tests.made.planted import Trap


@pytest.mark.parametrize(("name", "num_classes"), [("cifar10", 10), ("cifar100", 100)])
def test_the_binary_cifar_files_are_read_plane_by_plane_with_fine_labels(
    tmp_path: Path, name: str, num_classes: int
):
    images, labels = write_cifar(tmp_path, name)
    loaded = load(name, tmp_path)
    assert loaded.num_classes == num_classes
    assert np.array_equal(np.concatenate([loaded.pool_images, loaded.test_images]), images)
    assert np.array_equal(np.concatenate([loaded.pool_labels, loaded.test_labels]), labels)
    assert len(loaded.test_labels) == 3


def pack_cifar10(root: Path) -> Path:
    """Put the folder of `write_cifar` into an archive, as it is published."""
    archive = root / "cifar-10-binary.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(root / "cifar-10-batches-bin", "cifar-10-batches-bin")
    for file in (root / "cifar-10-batches-bin").iterdir():
        file.unlink()
    (root / "cifar-10-batches-bin").rmdir()
    return archive


def test_the_cifar_archive_is_read_like_its_folder_and_not_unpacked(tmp_path: Path):
    write_cifar(tmp_path, "cifar10")
    unpacked = load("cifar10", tmp_path).digest()
    archive = pack_cifar10(tmp_path)
    assert load("cifar10", tmp_path).digest() == unpacked
    assert list(tmp_path.iterdir()) == [archive]


def test_a_truncated_cifar_archive_is_named(tmp_path: Path):
    write_cifar(tmp_path, "cifar10")
    archive = pack_cifar10(tmp_path)
    archive.write_bytes(archive.read_bytes()[:30_000])
    with pytest.raises(ValueError, match=f"cannot read '{archive}'"):
        load("cifar10", tmp_path)


def test_a_cifar_archive_without_its_test_file_is_refused(tmp_path: Path):
    with tarfile.open(tmp_path / "cifar-100-binary.tar.gz", "w:gz") as tar:
        entry = tarfile.TarInfo("cifar-100-binary/train.bin")
        entry.size = 3074
        tar.addfile(entry, io.BytesIO(bytes(3074)))
    with pytest.raises(ValueError, match=r"it lacks test.bin"):
        load("cifar100", tmp_path)


@pytest.mark.parametrize("keep", [0, 3073 * 2 + 5])
def test_a_truncated_cifar_file_is_named(tmp_path: Path, keep: int):
    write_cifar(tmp_path, "cifar10")
    file = tmp_path / "cifar-10-batches-bin" / "data_batch_4.bin"
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(ValueError, match=f"cannot read '{file}': {keep} bytes are not a whole"):
        load("cifar10", tmp_path)


def test_a_cifar_file_with_too_large_a_label_is_named(tmp_path: Path):
    write_cifar(tmp_path, "cifar10")
    file = tmp_path / "cifar-10-batches-bin" / "test_batch.bin"
    file.write_bytes(bytes([10]) + file.read_bytes()[1:])
    with pytest.raises(ValueError, match=f"cannot read '{file}': expected labels below 10, got 10"):
        load("cifar10", tmp_path)


def test_missing_cifar_is_an_error_that_says_what_to_do(tmp_path: Path):
    with pytest.raises(ValueError, match=r"no CIFAR-100 under .*put cifar-100-binary.tar.gz or"):
        load("cifar100", tmp_path)


def test_foreign_pickles_in_the_cifar_folder_are_refused_before_they_are_opened(tmp_path: Path):
    trap = pickle.dumps(Trap(tmp_path / "sprung"))
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch", "batches.meta"):
        (folder / name).write_bytes(trap)
    with pytest.raises(ValueError, match=f"cannot read '{folder}': .* published md5"):
        load("cifar10", tmp_path)
    assert not (tmp_path / "sprung").exists()
    pickle.loads(trap)
    assert (tmp_path / "sprung").exists()
