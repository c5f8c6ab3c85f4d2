"""What an example is called where it comes from, through every draw: the same image is there."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from runner.data import Dataset
from runner.plan.canaries import planted
from tests.made.canaries import audited
from tests.made.datasets import RNG, load, write_cifar, write_idc, write_idx, write_svhn

DRAWS = [{}, {"num_examples": 11}, {"classes": [2, 0]}, {"classes": [0, 2], "num_examples": 5}]


def numbered(folder: Path, with_test: bool) -> tuple[Path, dict[str, np.ndarray]]:
    """Images of which each has its own pixels, rare and common classes in no order."""
    rng = RNG()
    arrays = {
        "images": rng.integers(0, 256, (60, 5, 4, 3), dtype=np.uint8),
        "labels": rng.permutation(np.repeat([0, 1, 2], [30, 20, 10])),
    }
    if with_test:
        arrays |= {"test_images": arrays["images"][:12, ::-1], "test_labels": arrays["labels"][:12]}
    np.savez(folder / "my.npz", **arrays)  # pyright: ignore[reportArgumentType]
    return folder / "my.npz", arrays


def same_images(loaded: Dataset, images: Mapping[str, np.ndarray]) -> None:
    """Each id names the image that stands at its place; images are (N, channels, H, W) by array."""
    for part in ("pool", "test"):
        ids, shown = getattr(loaded, f"{part}_ids"), getattr(loaded, f"{part}_images")
        where = ids.get("array", ids.get("split", np.full(len(shown), "only")))
        pairs = zip(where, ids["source_row"], strict=True)
        found = [images[str(array)][row] for array, row in pairs]
        assert len(found) == len(shown)
        assert all(np.array_equal(a, b) for a, b in zip(found, shown, strict=True))


@pytest.mark.parametrize("pool", ["train", "train+test"])
@pytest.mark.parametrize("with_test", [False, True])
@pytest.mark.parametrize("draw", DRAWS)
def test_rows_of_an_npz_are_those_of_its_arrays(
    tmp_path: Path, draw: dict, with_test: bool, pool: str
):
    file, arrays = numbered(tmp_path, with_test)
    images = {k: v.transpose(0, 3, 1, 2) for k, v in arrays.items() if k.endswith("images")}
    loaded = load("npz", file, pool=pool, **draw)
    same_images(loaded, images)
    names = [tuple(row) for row in zip(*loaded.pool_ids.values(), strict=True)]
    assert len(set(names)) == len(loaded.pool_labels), "no two examples are called the same"


def test_400_of_1000_examples_keep_their_rows(tmp_path: Path):
    """The places 0 to 3 of this pool were once reported, which are the rows of others."""
    rng = RNG()
    images = rng.integers(0, 256, (1000, 4, 4), dtype=np.uint8)
    np.savez(tmp_path / "my.npz", images=images, labels=np.arange(1000) % 4)
    loaded = load("npz", tmp_path / "my.npz", num_examples=400)
    rows = loaded.pool_ids["source_row"]
    assert rows[:4].tolist() != [0, 1, 2, 3]
    assert np.array_equal(images[rows], loaded.pool_images[:, 0])


@pytest.mark.parametrize("draw", DRAWS)
@pytest.mark.parametrize("pool", ["train", "train+test"])
def test_rows_of_digits_are_scikit_learns(draw: dict, pool: str):
    levels = np.asarray(load_digits(return_X_y=True)[0])
    whole = np.rint(levels * 255 / 16).astype(np.uint8).reshape(-1, 1, 8, 8)
    same_images(load("digits", pool=pool, **draw), {"only": whole})


@pytest.mark.parametrize("pool", ["train", "train+test"])
def test_rows_of_published_files_are_counted_in_their_split(tmp_path: Path, pool: str):
    arrays = write_idx(tmp_path / "idx", zipped=False)
    names = {"train": "train-images-idx3-ubyte", "test": "t10k-images-idx3-ubyte"}
    idx = {split: arrays[name][:, None] for split, name in names.items()}
    same_images(load("fashion_mnist", tmp_path / "idx", pool=pool, num_examples=11), idx)
    images, _ = write_cifar(tmp_path, "cifar10")
    cifar = {"train": images[:15], "test": images[15:]}
    same_images(load("cifar10", tmp_path, pool=pool, num_examples=12), cifar)
    images, _ = write_svhn(tmp_path)
    svhn = {"train": images[:11], "test": images[11:]}
    same_images(load("svhn", tmp_path, pool=pool, num_examples=10), svhn)


def test_a_patch_is_called_by_its_file_and_grouped_by_patient(tmp_path: Path):
    write_idc(tmp_path, (12, 5))
    counts = {"train_counts": [6, 3], "test_counts": [2, 1]}
    loaded = load("idc", tmp_path, num_examples=5, **counts)
    for part in ("pool", "test"):
        ids, images = getattr(loaded, f"{part}_ids"), getattr(loaded, f"{part}_images")
        assert list(ids) == ["file", "group"]
        for file, patient, image in zip(*ids.values(), images, strict=True):
            with Image.open(tmp_path / str(file)) as there:
                assert np.array_equal(np.asarray(there).transpose(2, 0, 1), image)
            assert str(file).startswith(f"{patient}/")


def test_two_patches_of_one_name_that_differ_are_refused(tmp_path: Path):
    """A name that occurs twice once counted once, whoever's it was."""
    write_idc(tmp_path, (12, 5))
    for patient, grey in ((1, 30), (2, 60)):
        (tmp_path / f"patient{patient}").mkdir()
        Image.new("RGB", (50, 50), (grey, 0, 0)).save(tmp_path / f"patient{patient}/a_class1.png")
    with pytest.raises(ValueError, match="have the same name and are different images: give each"):
        load("idc", tmp_path, train_counts=[6, 4], test_counts=[2, 2])


def test_no_digest_knows_what_examples_are_called(tmp_path: Path):
    file, arrays = numbered(tmp_path, with_test=True)
    order = np.arange(60)[::-1]
    before = load("npz", file).digest()
    turned = {k: v[order] if len(v) == 60 else v for k, v in arrays.items()}
    np.savez(tmp_path / "b.npz", **turned)  # pyright: ignore[reportArgumentType]
    assert load("npz", tmp_path / "b.npz").digest() != before, "other bytes at every place"
    (tmp_path / "c").mkdir()
    file.rename(tmp_path / "c" / "other.npz")
    assert load("npz", tmp_path / "c" / "other.npz").digest() == before


@pytest.mark.parametrize("kind", ["mislabelled", "blank", "noise"])
def test_a_canary_is_called_by_its_number_and_by_no_row(kind: str):
    """The row whose image a mislabelled canary shows is said apart, and in the pool no more."""
    experiment = audited(kind=kind, copies=3)
    digits = experiment.data.load()
    made = planted(digits, experiment)
    assert experiment.design.canaries is not None
    num = experiment.design.canaries.num
    ids, first = made.pool_ids, len(made.pool_labels) - 3 * num
    assert (ids["source_row"][first:] == -1).all()
    assert (ids["canary"][:first] == -1).all()
    assert ids["canary"][first:].tolist() == [*range(num)] * 3
    assert ids["copy"][first:].tolist() == [k for k in range(3) for _ in range(num)]
    image_of = dict(zip(digits.pool_ids["source_row"], digits.pool_images, strict=True))
    for row, image in zip(ids["source_row"][:first], made.pool_images[:first], strict=True):
        assert np.array_equal(image_of[row], image)
    if kind == "mislabelled":
        for row, image in zip(ids["image_of"][first:], made.pool_images[first:], strict=True):
            assert np.array_equal(image_of[row], image)
        assert not set(ids["image_of"][first:]) & set(ids["source_row"][:first])
    else:
        assert "image_of" not in ids
