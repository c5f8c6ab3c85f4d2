import dataclasses
import functools
import gzip
import hashlib
import io
import pickle
import struct
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError
from scipy.io import savemat
from sklearn.datasets import load_digits

from attacks.by_name import find
from runner.data import Data, Dataset, image_shape
from runner.data._fetch import obtain
from runner.data._split import balanced, pixel_statistics, proportional
from runner.models import ImageShape, Normalize
from tests.made.datasets import (
    RNG,
    data,
    idx,
    load,
    rows,
    write_cifar,
    write_idc,
    write_idx,
    write_svhn,
)

DEBIAN = Path("/usr/share/datasets/fashion-mnist")


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


def test_a_pool_of_train_and_test_leaves_an_empty_test_split_of_the_right_shape():
    apart, whole = load("digits"), load("digits", pool="train+test")
    assert np.array_equal(whole.pool_images, np.concatenate([apart.pool_images, apart.test_images]))
    assert np.array_equal(whole.pool_labels, np.concatenate([apart.pool_labels, apart.test_labels]))
    assert whole.test_images.shape == (0, 1, 8, 8)
    assert whole.test_labels.shape == (0,)


def test_num_examples_keeps_a_class_balanced_subset_and_the_whole_test_split():
    whole, few = load("digits"), load("digits", num_examples=100)
    more = load("digits", num_examples=203)
    assert np.bincount(few.pool_labels).tolist() == [10] * 10
    assert sorted(np.bincount(more.pool_labels)) == [20] * 7 + [21] * 3
    assert rows(few.pool_images) < rows(more.pool_images) < rows(whole.pool_images)
    assert np.array_equal(few.test_images, whole.test_images)
    assert load("digits", num_examples=1400).digest() == whole.digest()


def test_asking_for_more_examples_than_there_are_is_refused():
    with pytest.raises(
        ValueError, match="num_examples is 1401, but the pool of digits has only 14"
    ):
        load("digits", num_examples=1401)
    with pytest.raises(ValidationError, match="num_examples"):
        data("digits", num_examples=0)


@pytest.mark.parametrize("classes", [[3, 8], [8, 3], [9, 0, 4]])
def test_classes_are_selected_and_relabelled_in_the_order_given(classes: list[int]):
    whole, some = load("digits"), load("digits", classes=classes)
    for part in ("pool", "test"):
        pairs = zip(getattr(whole, f"{part}_images"), getattr(whole, f"{part}_labels"), strict=True)
        expected = [(image, classes.index(label)) for image, label in pairs if label in classes]
        images, labels = zip(*expected, strict=True)
        assert np.array_equal(getattr(some, f"{part}_images"), np.stack(images))
        assert getattr(some, f"{part}_labels").tolist() == list(labels)
    assert some.num_classes == image_shape(some).num_classes == len(classes)


def test_classes_are_selected_from_a_pool_of_train_and_test_too():
    whole, some = (load("digits", pool="train+test", classes=c) for c in (None, [6, 1]))
    kept = np.isin(whole.pool_labels, [6, 1])
    assert np.array_equal(some.pool_images, whole.pool_images[kept])
    assert np.array_equal(some.pool_labels, whole.pool_labels[kept] == 1)
    assert some.test_images.shape == (0, 1, 8, 8)


def test_a_draw_from_selected_classes_is_balanced_over_them():
    whole = load("digits", classes=[6, 1])
    few = load("digits", classes=[6, 1], num_examples=101)
    assert sorted(np.bincount(few.pool_labels)) == [50, 51]
    assert rows(few.pool_images) < rows(whole.pool_images)
    assert np.array_equal(few.test_images, whole.test_images)
    most = np.bincount(whole.pool_labels).sum()
    with pytest.raises(ValueError, match=f"the pool of digits has only {most} examples"):
        load("digits", classes=[6, 1], num_examples=most + 1)


def test_all_classes_in_their_own_order_leave_every_bit_as_it_was():
    every = list(range(10))
    for num, pool in ((None, "train"), (None, "train+test"), (100, "train")):
        as_it_was = load("digits", pool=pool, num_examples=num).digest()
        assert load("digits", pool=pool, num_examples=num, classes=every).digest() == as_it_was


def test_the_digest_knows_the_classes_and_their_order():
    asked = (None, [0, 1], [1, 0], [0, 2], [0, 1, 2])
    assert len({load("digits", classes=classes).digest() for classes in asked}) == len(asked)


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


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        ([], r"expected two classes or more, got \[\]; leave it out to keep all"),
        ([4], r"expected two classes or more, got \[4\]"),
        ([4, 0, 4], r"\[4\] named more than once in \[4, 0, 4\]"),
        ([0, -1], "greater than or equal to 0"),
    ],
)
def test_classes_that_make_no_task_are_refused(classes: list[int], said: str):
    with pytest.raises(ValidationError, match=f"(?s)classes.*{said}"):
        data("digits", classes=classes)


def test_classes_that_the_data_does_not_have_are_refused_with_those_it_has(tmp_path: Path):
    said = r"data.classes names \[10, 12\], but the classes of digits are 0 to 9: choose among"
    with pytest.raises(ValueError, match=said):
        load("digits", classes=[3, 10, 12])
    present = set(write_idx(tmp_path, zipped=False)["train-labels-idx1-ubyte"].tolist())
    absent = min(set(range(10)) - present)
    said = rf"names \[{absent}\], but the pool of mnist has examples of .* alone: choose among"
    with pytest.raises(ValueError, match=said):
        load("mnist", tmp_path, classes=[min(present), absent])


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


def test_loading_twice_gives_the_same_bits():
    assert load("digits", num_examples=100).digest() == load("digits", num_examples=100).digest()


def test_the_digest_changes_with_one_pixel_one_label_one_statistic_and_the_split():
    loaded = load("digits")
    digests = {loaded.digest()}
    for part in ("pool_images", "pool_labels", "test_images", "test_labels"):
        changed = getattr(loaded, part).copy()
        changed.reshape(-1)[-1] ^= 1
        digests.add(dataclasses.replace(loaded, **{part: changed}).digest())
    digests.add(dataclasses.replace(loaded, mean=(0.5,)).digest())
    digests.add(load("digits", pool="train+test").digest())
    assert len(digests) == 7


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


def test_without_normalize_models_see_pixels_between_0_and_1(tmp_path: Path):
    write_cifar(tmp_path, "cifar10")
    published = load("cifar10", tmp_path, normalize=False)
    assert (published.mean, published.std) == ((0.0,) * 3, (1.0,) * 3)
    whole, plain = load("digits"), load("digits", normalize=False)
    assert (plain.mean, plain.std) == ((0.0,), (1.0,))
    assert np.array_equal(plain.pool_images, whole.pool_images)
    images = torch.from_numpy(plain.pool_images[:5].astype(np.float32) / 255)
    assert torch.equal(Normalize(image_shape(plain))(images), images)
    assert plain.digest() != whole.digest()


def test_the_image_shape_is_the_data_sets():
    loaded = load("digits")
    assert image_shape(loaded) == ImageShape(1, 8, 8, 10, loaded.mean, loaded.std)


def test_an_unknown_data_set_is_refused_with_the_nearest_name():
    with pytest.raises(ValueError, match="unknown data 'fashion_mist'; did you mean 'fashion_mni"):
        find("runner.data", "fashion_mist", Data)


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


def test_mnist_and_fashion_mnist_are_kept_apart_under_one_root(tmp_path: Path):
    write_idx(tmp_path / "MNIST" / "raw", zipped=True)
    with pytest.raises(ValueError, match="no Fashion-MNIST under"):
        load("fashion_mnist", tmp_path)


def test_missing_files_are_an_error_that_says_where_why_and_what_to_do(tmp_path: Path):
    said = rf"no MNIST under '{tmp_path}': put the four idx files .* set data.download: true"
    with pytest.raises(ValueError, match=said):
        load("mnist", tmp_path)


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


class Trap:
    """Unpickling one leaves a file behind."""

    def __init__(self, at: Path) -> None:
        self.at = at

    def __reduce__(self) -> tuple:
        return Path.touch, (self.at,)


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


def idc(root: Path, **fields: object) -> Dataset:
    fields = {"train_counts": [6, 3], "test_counts": [2, 1], **fields}
    return load("idc", root, **fields)


def test_idc_patches_are_drawn_per_class_without_overlap(tmp_path: Path):
    label_of = write_idc(tmp_path, (12, 5))
    loaded = idc(tmp_path)
    assert loaded.pool_images.shape == (9, 3, 50, 50)
    assert np.bincount(loaded.pool_labels).tolist() == [6, 3]
    assert np.bincount(loaded.test_labels).tolist() == [2, 1]
    pool, test = rows(loaded.pool_images), rows(loaded.test_images)
    assert len(pool | test) == 12
    assert pool | test < set(label_of)
    for images, labels in (
        (loaded.pool_images, loaded.pool_labels),
        (loaded.test_images, loaded.test_labels),
    ):
        assert [label_of[image.tobytes()] for image in images] == labels.tolist()


def test_idc_classes_are_mixed_so_that_the_first_images_hold_both(tmp_path: Path):
    write_idc(tmp_path, (30, 30))
    loaded = idc(tmp_path, train_counts=[20, 20], test_counts=[10, 10])
    assert 0 < loaded.pool_labels[:10].sum() < 10
    assert 0 < loaded.test_labels[:10].sum() < 10


def test_the_idc_draw_depends_on_file_names_alone(tmp_path: Path):
    write_idc(tmp_path, (12, 5))
    before = idc(tmp_path)
    for file in list(tmp_path.rglob("*.png")):
        file.rename(tmp_path / file.name)
    assert idc(tmp_path).digest() == before.digest()


def test_the_copy_that_the_published_idc_archive_repeats_adds_nothing(tmp_path: Path):
    write_idc(tmp_path, (12, 5))
    before = idc(tmp_path)
    write_idc(tmp_path / "IDC_regular_ps50_idx5", (12, 5))
    assert idc(tmp_path).digest() == before.digest()


def test_idc_patches_cut_by_the_slides_edge_are_passed_over(tmp_path: Path):
    label_of = write_idc(tmp_path, (9, 4))
    for label in (0, 1):
        Image.new("RGB", (50, 31)).save(tmp_path / f"1_class{label}.png")
        Image.new("RGB", (49, 50)).save(tmp_path / f"2_class{label}.png")
    loaded = idc(tmp_path, train_counts=[7, 3], test_counts=[2, 1])
    assert rows(loaded.pool_images) | rows(loaded.test_images) == set(label_of)


def test_too_few_idc_patches_are_refused_with_the_count(tmp_path: Path):
    write_idc(tmp_path, (12, 3))
    with pytest.raises(ValueError, match=r"3 whole patches of class 1 .* expected 4: lower data"):
        idc(tmp_path)


def test_the_default_idc_counts_are_the_papers():
    fields = data("idc").model_dump()
    assert fields["train_counts"] == (29_164, 10_788)
    assert fields["test_counts"] == (31_825, 11_595)


def test_idc_patches_can_be_resized(tmp_path: Path):
    for label, grey in ((0, 40), (1, 200)):
        for i in range(9):
            Image.new("RGB", (50, 50), (grey, 0, i)).save(tmp_path / f"{i}_class{label}.png")
    loaded = idc(tmp_path, size=32)
    assert loaded.pool_images.shape == (9, 3, 32, 32)
    assert np.array_equal(loaded.pool_images[:, 0, 0, 0], np.array([40, 200])[loaded.pool_labels])
    assert (loaded.pool_images == loaded.pool_images[:, :, :1, :1]).all()


def test_a_damaged_idc_patch_is_named(tmp_path: Path):
    write_idc(tmp_path, (8, 4))
    file = next(tmp_path.rglob("*_class1.png"))
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(ValueError, match=f"cannot read '{file}'"):
        idc(tmp_path)


def test_missing_idc_is_an_error_that_says_what_to_do(tmp_path: Path):
    with pytest.raises(ValueError, match=r"no IDC under .*put patches named \*_class0.png there"):
        idc(tmp_path)


def arrays(**changed: object) -> dict[str, Any]:
    rng = RNG()
    whole = {
        "images": rng.integers(0, 256, (40, 6, 5, 3), dtype=np.uint8),
        "labels": np.arange(40) % 4,
        "test_images": rng.integers(0, 256, (8, 6, 5, 3), dtype=np.uint8),
        "test_labels": np.arange(8, dtype=np.uint8) % 4,
    }
    return {k: v for k, v in {**whole, **changed}.items() if v is not None}


def npz(folder: Path, content: dict[str, Any], **fields: object) -> Dataset:
    np.savez(folder / "my.npz", **content)
    return load("npz", folder / "my.npz", **fields)


def test_an_npz_with_a_test_split_is_taken_as_it_is(tmp_path: Path):
    content = arrays()
    loaded = npz(tmp_path, content)
    assert loaded.num_classes == 4
    assert np.array_equal(loaded.pool_images.transpose(0, 2, 3, 1), content["images"])
    assert np.array_equal(loaded.test_images.transpose(0, 2, 3, 1), content["test_images"])
    assert np.array_equal(loaded.pool_labels, content["labels"])
    assert np.array_equal(loaded.test_labels, content["test_labels"])
    assert (loaded.mean, loaded.std) == pixel_statistics(loaded.pool_images)


def test_an_npz_without_a_test_split_is_split_class_by_class(tmp_path: Path):
    content = arrays(test_images=None, test_labels=None)
    loaded = npz(tmp_path, content, test_fraction=0.3)
    assert np.bincount(loaded.test_labels).tolist() == [3] * 4
    assert np.bincount(loaded.pool_labels).tolist() == [7] * 4
    assert len(rows(loaded.pool_images) | rows(loaded.test_images)) == 40
    assert len(npz(tmp_path, content, test_fraction=0).test_labels) == 0


@pytest.mark.parametrize("layout", ["auto", "nchw", "nhwc"])
def test_grey_images_need_no_channel_axis(tmp_path: Path, layout: str):
    grey = RNG().integers(0, 256, (40, 6, 5), dtype=np.uint8)
    content = arrays(images=grey, test_images=None, test_labels=None)
    loaded = npz(tmp_path, content, test_fraction=0, layout=layout)
    assert np.array_equal(loaded.pool_images[:, 0], grey)


@pytest.mark.parametrize(
    ("shape", "layout", "channels_last"),
    [
        ((40, 6, 5, 3), "auto", True),
        ((40, 6, 5, 1), "auto", True),
        ((40, 3, 6, 5), "auto", False),
        ((40, 1, 6, 5), "auto", False),
        ((40, 3, 6, 3), "nhwc", True),
        ((40, 3, 6, 3), "nchw", False),
        ((40, 6, 5, 4), "nhwc", True),
        ((40, 6, 5, 4), "nchw", False),
    ],
)
def test_the_channels_are_where_the_layout_says(
    tmp_path: Path, shape: tuple[int, ...], layout: str, channels_last: bool
):
    images = RNG().integers(0, 256, shape, dtype=np.uint8)
    content = arrays(images=images, test_images=None, test_labels=None)
    loaded = npz(tmp_path, content, test_fraction=0, layout=layout)
    expected = images.transpose(0, 3, 1, 2) if channels_last else images
    assert np.array_equal(loaded.pool_images, expected)


ZEROS = functools.partial(np.zeros, dtype=np.uint8)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"images": ZEROS((40, 3, 6, 3))}, "images of .* cannot tell the channels"),
        ({"images": ZEROS((40, 6, 5, 4))}, "images of .* cannot tell the channels"),
        ({"images": np.zeros((40, 6, 5, 3))}, r"expected .* uint8, got \(40, 6, 5, 3\) float64"),
        ({"images": ZEROS((40, 30))}, r"images of .* got \(40, 30\) uint8"),
        ({"images": ZEROS((0, 6, 5, 3)), "labels": ZEROS(0)}, "expected every class"),
        ({"images": None}, "images of .* it is not there; the file has labels, test_images"),
        ({"labels": np.zeros(39, int)}, r"labels of .*expected \(40,\) integers.*got \(39,\)"),
        ({"labels": np.zeros((40, 1), int)}, r"expected \(40,\) integers"),
        ({"labels": np.arange(40) % 4 * 1.0}, "got .* float64"),
        ({"labels": np.arange(40) % 4 + 1}, r"expected every class of 0 to C-1, got \[1 2 3 4\]"),
        ({"labels": np.arange(40) % 4 - 1}, "expected 0 or more, got -1"),
        ({"labels": np.zeros(40, int)}, "expected every class"),
        ({"test_labels": np.full(8, 4)}, "test_labels of .* expected 0 to 3 as in labels, got 4"),
        ({"test_labels": None}, "test_labels of .* it is not there"),
        ({"test_images": None}, "test_images of .* it is not there"),
        ({"test_images": ZEROS((8, 6, 6, 3))}, "test_images of .* expected the training images'"),
        ({"images": np.array([None] * 40)}, "cannot read .*allow_pickle"),
    ],
)
def test_an_npz_that_breaks_the_rules_is_refused_with_the_rule(
    tmp_path: Path, changed: dict[str, object], said: str
):
    with pytest.raises(ValueError, match=said):
        npz(tmp_path, arrays(**changed))


@pytest.mark.parametrize("keep", [0, 40, 3000])
def test_a_truncated_npz_is_named(tmp_path: Path, keep: int):
    npz(tmp_path, arrays())
    file = tmp_path / "my.npz"
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(ValueError, match=f"cannot read '{file}'"):
        load("npz", file)


def test_a_pickle_or_a_bare_array_in_place_of_an_npz_is_refused_unopened(tmp_path: Path):
    file = tmp_path / "my.npz"
    file.write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    with pytest.raises(ValueError, match=f"cannot read '{file}'"):
        load("npz", file)
    assert not (tmp_path / "sprung").exists()
    with file.open("wb") as out:
        np.save(out, np.zeros(3))
    with pytest.raises(ValueError, match=f"cannot read '{file}'"):
        load("npz", file)


def test_a_missing_npz_is_an_error_that_says_what_to_do(tmp_path: Path):
    with pytest.raises(ValueError, match=r"no .npz file at .*: set data.root to the file"):
        load("npz", tmp_path)


def fetch(root: Path, urls: list[str], md5: str) -> Path:
    asked = data("digits", root, download=True)
    return obtain(asked, "Peas", "peas.bin", root / "deep" / "peas.bin", urls, md5)


def test_a_download_is_checked_and_put_in_place_whole(tmp_path: Path):
    source = tmp_path / "source"
    source.write_bytes(b"peas" * 1_000_000)
    md5 = hashlib.md5(source.read_bytes()).hexdigest()
    gone = (tmp_path / "gone").as_uri()
    file = fetch(tmp_path, [gone, source.as_uri()], md5)
    assert file.read_bytes() == source.read_bytes()
    assert list(file.parent.iterdir()) == [file]
    source.unlink()
    assert fetch(tmp_path, [source.as_uri()], md5) == file


def test_a_download_with_another_checksum_is_refused_and_leaves_nothing(tmp_path: Path):
    source = tmp_path / "source"
    source.write_bytes(b"beans")
    with pytest.raises(ValueError, match=r"no Peas under .*md5 .* put peas.bin there by hand"):
        fetch(tmp_path, [source.as_uri()], "0" * 32)
    assert not list((tmp_path / "deep").iterdir())


def test_a_download_that_finds_nobody_is_an_error_that_says_what_to_do(tmp_path: Path):
    said = r"no Peas under .*download failed \(http://127.0.0.1:9/peas.*: put peas.bin there by"
    with pytest.raises(ValueError, match=said):
        fetch(tmp_path, ["http://127.0.0.1:9/peas.bin"], "0" * 32)


def test_the_errors_of_data_can_be_pickled(tmp_path: Path):
    with pytest.raises(ValueError, match="no SVHN") as caught:
        load("svhn", tmp_path)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
