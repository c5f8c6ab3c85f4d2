"""A data set of one's own: what an npz file may hold."""

import functools
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runner.data import Dataset
from runner.data._split import pixel_statistics
from tests.made.datasets import RNG, load, rows
from tests.made.planted import Trap


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
        ({"images": np.zeros((40, 6, 5, 3), np.int64)}, r"expected .* got \(40, 6, 5, 3\) int64"),
        ({"images": ZEROS((40, 30))}, r"images of .* got \(40, 30\) uint8"),
        ({"images": ZEROS((0, 6, 5, 3)), "labels": ZEROS(0)}, "expected every class"),
        ({"images": None}, "images of .* it is not there; the file has labels, test_images"),
        ({"labels": np.zeros(39, int)}, r"labels of .*expected \(40,\) integers.*got \(39,\)"),
        ({"labels": np.zeros((40, 2), int)}, r"expected \(40,\) integers"),
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


@pytest.mark.parametrize(
    ("shape", "layout", "other"),
    [
        ((40, 3, 32, 32), "nhwc", "nchw"),
        ((40, 32, 32, 3), "nchw", "nhwc"),
        ((40, 1, 8, 8), "nhwc", "nchw"),
        ((40, 7, 9, 1), "nchw", "nhwc"),
    ],
)
def test_a_layout_that_takes_a_side_for_the_channels_is_refused(
    tmp_path: Path, shape: tuple[int, ...], layout: str, other: str
):
    images = RNG().integers(0, 256, shape, dtype=np.uint8)
    content = arrays(images=images, test_images=None, test_labels=None)
    with pytest.raises(ValueError, match=f"layout {layout} makes .* set data.layout to {other}"):
        npz(tmp_path, content, layout=layout)


@pytest.mark.parametrize("factor", [255, -1, np.nan])
def test_floats_outside_0_to_1_are_refused_with_where_they_lie(tmp_path: Path, factor: float):
    content = arrays(images=factor * RNG().random((40, 6, 5, 3)))
    with pytest.raises(
        ValueError, match=r"images of .*floats are pixels in \[0, 1\], and these go"
    ):
        npz(tmp_path, content)


def test_floats_in_0_to_1_become_the_nearest_level_and_it_is_said_where_that_moves_them(
    tmp_path: Path,
):
    levels = arrays()["images"]
    for kind in (np.float16, np.float32, np.float64):
        loaded = npz(tmp_path, arrays(images=(levels / 255).astype(kind)))
        assert np.array_equal(loaded.pool_images.transpose(0, 2, 3, 1), levels)
        assert loaded.remarks == ()
    between = RNG().random((40, 6, 5, 3))
    loaded = npz(tmp_path, arrays(images=between))
    assert np.abs(loaded.pool_images.transpose(0, 2, 3, 1) / 255 - between).max() <= 0.5 / 255
    assert "rounded to the nearest of 256 levels" in loaded.remarks[0]


@pytest.mark.parametrize(
    "names",
    [
        ("train_images", "train_labels", "test_images", "test_labels"),
        ("x_train", "y_train", "x_test", "y_test"),
    ],
)
def test_the_names_of_medmnist_and_of_keras_are_known(tmp_path: Path, names: tuple[str, ...]):
    ours, more = arrays(), {"val_images": np.zeros((2, 6, 5, 3), np.uint8)}
    theirs = dict(zip(names, ours.values(), strict=True))
    theirs[names[1]] = theirs[names[1]][:, None]  # (N, 1), as MedMNIST has them
    np.savez(tmp_path / "my.npz", **(theirs | more))  # pyright: ignore[reportArgumentType]
    loaded = load("npz", (tmp_path / "my.npz").rename(tmp_path / "my.NPZ"))
    assert loaded.digest() == npz(tmp_path, ours).digest()
    assert loaded.pool_ids["array"][0] == names[0]
    assert loaded.remarks == ("val_images of the file are not read",)


def test_keys_name_other_arrays_with_text_for_labels_ids_and_groups(tmp_path: Path):
    names = np.array(["ill", "well"])
    content = {
        "scans": arrays()["images"],
        "told": names[np.arange(40) % 2],
        "who": np.arange(100, 140),
        "patient": np.arange(40) // 2,
    }
    keys = {"images": "scans", "labels": "told", "ids": "who", "group": "patient"}
    loaded = npz(tmp_path, content, keys=keys, test_fraction=0.25)
    assert loaded.class_names == ("ill", "well")
    assert (len(loaded.pool_labels), len(loaded.test_labels)) == (30, 10)
    place = int(loaded.pool_ids["id"][3]) - 100
    assert loaded.pool_ids["class"][3] == content["told"][place]
    assert not {*loaded.pool_ids["group"]} & {*loaded.test_ids["group"]}
    groups = loaded.groups
    assert groups is not None
    assert np.array_equal(np.unique(loaded.pool_ids["group"])[groups], loaded.pool_ids["group"])
    content["who"][1] = 100
    with pytest.raises(ValueError, match=r"who of .*100 stand there more than once; name another"):
        npz(tmp_path, content, keys=keys)
    with pytest.raises(ValueError, match=r"images of .*: it is not there.*data.keys.images"):
        npz(tmp_path, content)
    with pytest.raises(ValueError, match=r"site of .*: site is not there; the file has scans"):
        npz(tmp_path, content, keys={**keys, "group": "site"})
    content["patient"][:] = 7
    with pytest.raises(ValueError, match=r"patient of .*: 1 groups.* it takes 10 or more"):
        npz(tmp_path, content, keys={**keys, "ids": None})


def test_more_images_to_test_than_to_train_on_are_said(tmp_path: Path):
    whole = arrays()
    turned = {
        "images": whole["test_images"],
        "labels": whole["test_labels"].astype(np.int64),
        "test_images": whole["images"],
        "test_labels": whole["labels"],
    }
    assert npz(tmp_path, whole).remarks == ()
    (said,) = npz(tmp_path, turned).remarks
    assert said.startswith("the file has 40 test images and 8 to train on: are images and test_im")
