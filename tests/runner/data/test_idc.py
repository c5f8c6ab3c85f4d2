"""IDC's patches: who is drawn, and which are passed over."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from runner.data import Dataset
from tests.made.datasets import data, load, rows, write_idc


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
