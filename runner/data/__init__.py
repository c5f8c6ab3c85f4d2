"""Data sets: one file reads one family of them, as uint8 images or tables of floats on the CPU."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import AfterValidator, NonNegativeInt, PositiveInt, field_validator

from attacks.by_name import Keys
from runner.data._copies import copies
from runner.data._views import VIEWS, View, to_float, view

__all__ = ["VIEWS", "Augment", "Data", "Dataset", "Ids", "View", "copies", "to_float", "view"]

Ids = Mapping[str, np.ndarray]  # columns (N,) of int64 or text; -1 or "" where there is none


@dataclass(frozen=True)
class Dataset:
    """Images and labels. The pool is judged for membership; the test split is never trained on.

    pool_images (N, channels, H, W) uint8 and pool_labels (N,) int64; test_images and test_labels
    likewise, empty where the pool holds everything. mean and std are per channel, of [0, 1] pixels.
    Rows of a table are images of 1 x 1 pixels, (N, columns, 1, 1) float32 in [0, 1].

    pool_ids and test_ids say what each example is called where it comes from, so that its owner
    finds it: first a column of ids (`source_row`, `file`), then what else tells it from others
    (`split`, the `array` of a file) and, where examples belong together, their `group`, such as a
    patient. No weight depends on names, so the digest leaves them out.
    """

    pool_images: np.ndarray
    pool_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    num_classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    pool_ids: Ids = field(default_factory=dict)
    test_ids: Ids = field(default_factory=dict)
    published: bool = False  # bytes that everybody can have, or a part of them: nobody's secret
    remarks: tuple[str, ...] = ()  # what a reader of figures of these data must know
    class_names: tuple[str, ...] = ()  # of each class; none where numbers say it all
    by_group: bool = False  # every example of the pool has a `group`, which is not torn apart

    @property
    def groups(self) -> np.ndarray | None:
        """Which group each example of the pool is of, (N,) int64 from 0 on; None: each alone."""
        if not self.by_group:
            return None
        return np.unique(self.pool_ids["group"], return_inverse=True)[1]

    @property
    def tabular(self) -> bool:
        """Whether these are rows of a table, which nobody looks at as images."""
        return self.pool_images.dtype == np.float32 and self.pool_images.shape[2:] == (1, 1)

    def digest(self) -> str:
        """Return a hash of everything a model could learn from, so that a Run knows its data."""
        seen = hashlib.sha256(repr((self.num_classes, self.mean, self.std)).encode())
        for part in (self.pool_images, self.pool_labels, self.test_images, self.test_labels):
            seen.update(f"{part.shape}{part.dtype}".encode())
            seen.update(np.ascontiguousarray(part).data)
        return seen.hexdigest()


def _at_home(path: Path) -> Path:
    """A path whose `~` is written out."""
    try:
        return path.expanduser()
    except RuntimeError:
        raise ValueError(f"{path.parts[0]} is no user's home folder here; write it out") from None


class Augment(Keys):
    """Random changes of training images, drawn anew for each image and epoch."""

    crop_padding: NonNegativeInt = 0  # pixels of zeros on each side before a random crop
    flip: bool = False  # left-right, with probability 1/2


class Data(Keys):
    """The contract: one subclass a file; its fields are its YAML keys.

    `pool: train` judges the training split and keeps the test split for accuracy;
    `pool: train+test` judges both, as the DeMem protocol does (60,000 images of CIFAR).
    `classes: [0, 6]` makes a task of two classes out of both splits. A mean and std that are
    published with a data set stay those of all its classes: they only normalise.
    """

    tabular: ClassVar[bool] = False  # rows of a table, which have no neighbouring pixels

    name: str
    root: Annotated[Path, AfterValidator(_at_home)] = Path(
        "data"
    )  # where the files lie, or are downloaded to
    download: bool = True
    pool: Literal["train", "train+test"] = "train"
    classes: tuple[NonNegativeInt, ...] | None = None  # these alone, as 0, 1, ...; None: all
    num_examples: PositiveInt | None = None  # of the pool, drawn class-balanced; None: all
    augment: Augment = Augment()
    normalize: bool = True  # False: models see pixels in [0, 1], mean 0 and std 1 by definition

    @field_validator("classes")
    @classmethod
    def _two_different_classes(cls, classes: tuple[int, ...] | None) -> tuple[int, ...] | None:
        if classes is not None and len(classes) < 2:
            raise ValueError(
                f"expected two classes or more, got {list(classes)}; leave it out to keep all"
            )
        if classes is not None and (twice := {c for c in classes if classes.count(c) > 1}):
            raise ValueError(f"{sorted(twice)} named more than once in {list(classes)}")
        return classes

    @property
    def pictured(self) -> tuple[int, int, int, int] | None:
        """Channels, H, W and number of all classes, where they are known before anything is read.

        On noise of this shape `runner check` tries networks where the data are not at hand.
        """
        return None

    @property
    def counts(self) -> tuple[int, int] | None:
        """Examples of the training and of the test split, where they are known likewise."""
        return None

    def load(self) -> Dataset:
        """Return the data.

        Raises:
            ValueError: the files are not there, or are not what they should be; says what to do.
        """
        raise NotImplementedError
