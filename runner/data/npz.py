"""Your own data, from one NumPy .npz file."""

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from attacks.by_name import Keys
from runner.data import Data, Dataset
from runner.data._arrays import Layout, as_images
from runner.data._own import Classes, check_groups, check_once, classes_of, named
from runner.data._split import Own, Split, assemble, halve

PARTS = ("images", "labels", "test_images", "test_labels")
KNOWN = (  # what the arrays are called: here, by MedMNIST, by Keras, by others
    PARTS,
    ("train_images", "train_labels", "test_images", "test_labels"),
    ("x_train", "y_train", "x_test", "y_test"),
    ("X_train", "y_train", "X_test", "y_test"),
    ("x", "y", "x_test", "y_test"),
    ("X", "y", "X_test", "y_test"),
)


class Named(Keys):
    """What the arrays of a file are called, where that cannot be guessed."""

    images: str | None = None
    labels: str | None = None
    test_images: str | None = None
    test_labels: str | None = None
    ids: str | None = None  # of each image, no two the same
    test_ids: str | None = None
    group: str | None = None  # of each image
    test_group: str | None = None


class Npz(Data):
    """`root` is the file itself. It holds these arrays, and no pickled objects:

    images: (N, H, W), (N, H, W, channels) or (N, channels, H, W), uint8 or floats in [0, 1].
    labels: (N,) or (N, 1) int, of which each of 0 to C-1 occurs; or text.
    test_images, test_labels: likewise; where they are left out, a test split is drawn.

    They may have the names that MedMNIST or Keras give, or others that `keys` tells, such as
    `keys: {images: scans, labels: diagnosis, group: patient}`. `layout: auto` takes the axis of
    length 1 or 3 as the channels: the last axis, or the one after N. Where both or neither are 1 or
    3 long, it must be said.
    """

    name: Literal["npz"] = "npz"
    keys: Named = Named()
    layout: Layout = "auto"
    test_fraction: Annotated[float, Field(ge=0, lt=1)] = 0.2  # drawn where the file has no test

    def load(self) -> Dataset:
        arrays, names, remarks = self._arrays()
        train, more = self._split(arrays, "")
        remarks += more
        test = None
        if "test_images" in arrays or "test_labels" in arrays:
            test, more = self._split(arrays, "test_")
            remarks += [said for said in more if said not in remarks]
        classes = self._classes(train, test)
        parts = [train._replace(labels=classes.train, ids=self._ids(arrays, names, "", classes))]
        by_group = "group" in arrays
        if by_group:
            check_groups(parts[0].ids["group"], f"{self._called('group')} of '{self.root}'")
        if test is None:
            parts = halve(parts[0], round(self.test_fraction * len(train.labels)), by_group)
        else:
            self._check_alike(train, test)
            parts.append(
                test._replace(labels=classes.test, ids=self._ids(arrays, names, "test_", classes))
            )
            if len(test.labels) > len(train.labels):
                remarks += [
                    f"the file has {len(test.labels):,} test images and {len(train.labels):,} to "
                    "train on: are images and test_images exchanged?"
                ]
        own = Own(classes.names, by_group)
        return assemble(self, parts[0], parts[1], classes.number, remarks=remarks, own=own)

    def _arrays(self) -> tuple[dict[str, np.ndarray], dict[str, str], list[str]]:
        """The arrays that are read, by the keys of `Named`, their names, and which are not read."""
        if not self.root.is_file():
            raise ValueError(f"no .npz file at '{self.root}': set data.root to the file")
        try:
            with self.root.open("rb") as file, np.load(file, allow_pickle=False) as content:
                there = list(content.files)
                names = self._names(there)
                found = {part: content[key] for part, key in names.items() if key in there}
        except Exception as error:  # a damaged zip raises one of many kinds
            raise ValueError(f"cannot read '{self.root}' as .npz: {error}") from error
        for part in Named.model_fields:
            key = getattr(self.keys, part)
            if key is not None and part not in found:
                raise self._fault(part, f"{key} is not there; the file has {', '.join(there)}")
        for part in ("images", "labels"):
            if part not in found:
                told = f"it is not there; the file has {', '.join(sorted(there))}"
                raise self._fault(part, f"{told}. Say which it is by data.keys.{part}")
        unread = [key for key in there if "val" in key and key not in names.values()]
        remarks = [f"{', '.join(unread)} of the file are not read"] if unread else []
        return found, names, remarks

    def _names(self, there: list[str]) -> dict[str, str]:
        """Which array of the file each part is: as the keys say, else by names that are known."""
        known = next((names for names in KNOWN if {*names[:2]} <= {*there}), PARTS)
        said = self.keys.model_dump(exclude_none=True)
        if {"images", "labels"} <= {*said}:  # then all is said
            return said
        return dict(zip(PARTS, known, strict=True)) | said

    def _called(self, part: str) -> str:
        """What a part is called, in a fault."""
        return getattr(self.keys, part) or part

    def _split(self, arrays: dict[str, np.ndarray], prefix: str) -> tuple[Split, list[str]]:
        """The checked arrays `prefix`images and `prefix`labels, the labels as they are given."""
        for key in (f"{prefix}images", f"{prefix}labels"):
            if key not in arrays:
                raise self._fault(key, f"it is not there; the file has {', '.join(sorted(arrays))}")
        try:
            images, remarks = as_images(arrays[f"{prefix}images"], self.layout)
        except ValueError as error:
            raise self._fault(f"{prefix}images", str(error)) from None
        labels = arrays[f"{prefix}labels"]
        if labels.shape == (len(images), 1):  # as MedMNIST has them
            labels = labels[:, 0]
        if labels.shape != (len(images),) or labels.dtype.kind not in "iuU":
            raise self._fault(
                f"{prefix}labels",
                f"expected ({len(images)},) integers, one for each image, or text, "
                f"got {labels.shape} {labels.dtype}",
            )
        if labels.dtype.kind != "U" and labels.min(initial=0) < 0:
            raise self._fault(f"{prefix}labels", f"expected 0 or more, got {labels.min()}")
        return Split(
            images, labels if labels.dtype.kind == "U" else labels.astype(np.int64)
        ), remarks

    def _classes(self, train: Split, test: Split | None) -> Classes:
        """The classes of both splits; numbers are taken as they are."""
        others = train.labels[:0] if test is None else test.labels
        if train.labels.dtype.kind == "U" or others.dtype.kind == "U":
            both = (labels.astype(np.str_) for labels in (train.labels, others))
            return classes_of(*both, where=f"labels of '{self.root}'")
        number = int(train.labels.max(initial=-1)) + 1
        if number < 2 or len(np.unique(train.labels)) != number:
            raise self._fault(
                "labels", f"expected every class of 0 to C-1, got {np.unique(train.labels)[:20]}"
            )
        if others.max(initial=0) >= number:
            raise self._fault(
                "test_labels", f"expected 0 to {number - 1} as in labels, got {others.max()}"
            )
        return Classes(train.labels, others, number, ())

    def _ids(
        self, arrays: dict[str, np.ndarray], names: dict[str, str], prefix: str, classes: Classes
    ) -> dict[str, np.ndarray]:
        """What the examples of a split are called: by an array of ids, or by their row."""
        labels = classes.test if prefix else classes.train
        found = {}
        if (ids := arrays.get(f"{prefix}ids")) is not None:
            check_once(ids, f"{self._called(f'{prefix}ids')} of '{self.root}'")
            found["id"] = self._column(f"{prefix}ids", ids, len(labels))
        elif "ids" in arrays:
            found["id"] = np.array([f"test row {i}" for i in range(len(labels))])
        else:
            array = np.full(len(labels), names[f"{prefix}images"])
            found = {"source_row": np.arange(len(labels)), "array": array}
        if "group" in arrays:
            groups = arrays.get(f"{prefix}group", np.full(len(labels), ""))
            found["group"] = self._column(f"{prefix}group", groups, len(labels))
        return named(found, classes.names, labels)

    def _column(self, part: str, values: np.ndarray, number: int) -> np.ndarray:
        """One value of each example, as text."""
        if values.shape not in ((number,), (number, 1)) or values.dtype.kind not in "iuU":
            raise self._fault(
                part,
                f"expected ({number},) integers or text, one for each image, got {values.shape} "
                f"{values.dtype}",
            )
        return values.reshape(-1).astype(np.str_)

    def _check_alike(self, train: Split, test: Split) -> None:
        if test.images.shape[1:] != train.images.shape[1:]:
            raise self._fault(
                "test_images",
                f"expected the training images' {train.images.shape[1:]} (channels, H, W), "
                f"got {test.images.shape[1:]}",
            )

    def _fault(self, part: str, why: str) -> ValueError:
        return ValueError(f"{self._called(part)} of '{self.root}': {why}")
