"""What every data set promises: classes, draws, digests and shapes, on the digits."""

import dataclasses
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from attacks.by_name import find
from runner.data import Data
from runner.models import ImageShape, Normalize, image_shape
from tests.made.datasets import data, load, rows, write_cifar, write_idx


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


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        ([], r"expected two classes or more, got \[\]; leave it out to keep all"),
        ([4], r"expected two classes or more, got \[4\]"),
        ([4, 0, 4], r"\[4\] named more than once in \[4, 0, 4\]"),
        ([0, -1], "expected a whole number of 0 or more, got -1"),
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
    with pytest.raises(
        ValueError, match="unknown data set 'fashion_mist'; did you mean 'fashion_mni"
    ):
        find("runner.data", "fashion_mist", Data)


def test_the_errors_of_data_can_be_pickled(tmp_path: Path):
    with pytest.raises(ValueError, match="no SVHN") as caught:
        load("svhn", tmp_path)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
