"""Your own images in folders, one a class, as torchvision's ImageFolder has them."""

import os
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import numpy as np
from pydantic import AfterValidator, Field, PositiveInt

from runner.data import Data, Dataset
from runner.data._own import check_groups, classes_of, named
from runner.data._pictures import Encoded, Wanted, decoded
from runner.data._split import Own, Seen, Split, assemble, halve

ENDINGS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
TRAIN, TESTS = ("train", "training"), ("test", "testing", "val", "valid", "validation")
Size = PositiveInt | tuple[PositiveInt, PositiveInt]  # a side, or H and W


def _compiles(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is no regular expression: {error}") from None
    return pattern


class _File(NamedTuple):
    """An image, what it is called below `root`, and its class."""

    path: Path
    id: str
    label: str


class Folder(Data):
    r"""`root` has a folder for each class, or `train/` and `test/` that have one for each.

    `{name: folder, root: scans, size: 64, group: '(\d+)_[^/]*$'}`. A class is called as its
    folder, and an example as its file below `root`.
    """

    name: Literal["folder"] = "folder"
    size: Size | None = None  # made so large, bilinear; None: they all have one size
    crop: bool = False  # to the shape of `size` before that, at the centre; False: squeezed
    channels: Literal["auto", 1, 3] = "auto"  # auto: 1 where all are grey
    test_fraction: Annotated[float, Field(ge=0, lt=1)] = 0.2  # drawn where there is no test/
    # Where it matches a file's id: its first bracket, or all that matches, is the group.
    group: Annotated[str, AfterValidator(_compiles)] | None = None

    def load(self) -> Dataset:
        train_at, test_at, remarks = self._splits()
        train = self._files(train_at)
        test = self._files(test_at) if test_at else []
        classes = classes_of(*(_labels(files) for files in (train, test)), where=f"'{self.root}'")
        sources = [*train, *test]
        at = np.arange(len(sources))
        parts = [
            Split(places, labels, self._ids(files, classes.names, labels))
            for places, labels, files in (
                (at[: len(train)], classes.train, train),
                (at[len(train) :], classes.test, test),
            )
        ]
        by_group = self.group is not None
        if by_group:
            check_groups(parts[0].ids["group"], "data.group")
        if test_at is None:
            parts = halve(parts[0], round(self.test_fraction * len(train)), by_group)
        size = (self.size, self.size) if isinstance(self.size, int) else self.size
        see = partial(_seen, sources, Wanted(size, self.crop, self.channels))
        own = Own(classes.names, by_group, see)
        return assemble(self, parts[0], parts[1], classes.number, remarks=remarks, own=own)

    def _splits(self) -> tuple[Path, Path | None, list[str]]:
        """The folder of the training split, that of the test split if there is one, and remarks."""
        if not self.root.is_dir():
            raise ValueError(f"no folder at '{self.root}': set data.root to the folder of images")
        there = {name.lower(): self.root / name for name in _folders(self.root)}
        train = next((there[name] for name in TRAIN if name in there), None)
        if train is None or not _folders(train):
            return self.root, None, []
        if others := [p.name for k, p in there.items() if k not in (*TRAIN, *TESTS)]:
            raise ValueError(
                f"'{self.root}' has {train.name}/ and also {others[0]}/: is it a split or a class? "
                "Set data.root to a folder of classes, or leave only train/ and test/ there"
            )
        tests = [there[name] for name in TESTS if name in there]
        unread = [p.name for p in tests[1:]]
        remarks = [f"{', '.join(unread)}/ beside {tests[0].name}/ is not read"] if unread else []
        return train, next(iter(tests), None), remarks

    def _files(self, split: Path) -> list[_File]:
        """The images of all classes of a split, in the order of their names.

        Raises:
            ValueError: there is none, or none of a class.
        """
        found = []
        for label in _folders(split):
            names = sorted(_images(split / label, label))
            if not names:
                raise ValueError(
                    f"no image in '{split / label}', which would be a class: put files there that "
                    f"end in {', '.join(ENDINGS)}, or take the folder away"
                )
            paths = [split / name for name in names]
            found += [_File(p, p.relative_to(self.root).as_posix(), label) for p in paths]
        if not found:
            raise ValueError(
                f"no folders of classes in '{split}': expected '{split / 'NAME'}/IMAGE', a folder "
                "for each class"
            )
        return found

    def _ids(
        self, files: list[_File], classes: tuple[str, ...], labels: np.ndarray
    ) -> dict[str, np.ndarray]:
        """What examples are called: by their files, with their group and their class."""
        ids = {"file": np.array([file.id for file in files], np.str_)}
        if self.group is not None:
            found = [re.search(self.group, file.id) for file in files]
            if None in found:
                raise ValueError(
                    f"data.group: {self.group!r} matches {len(found) - found.count(None)} of "
                    f"{len(found)} files, and not '{files[found.index(None)].id}'; match all, as "
                    "they are called below data.root"
                )
            groups = [(m[1] if m.re.groups else m[0]) or "" for m in found if m]
            ids["group"] = np.array(groups, np.str_)
        return named(ids, classes, labels)


def _folders(at: Path) -> list[str]:
    """The names of the folders there, sorted; none that is hidden, or that another system left."""
    return sorted(e.name for e in os.scandir(at) if e.is_dir() and _is_shown(e.name))


def _is_shown(name: str) -> bool:
    return not name.startswith((".", "__"))


def _images(folder: Path, name: str) -> Iterator[str]:
    """The images in a folder and below, from the split's folder on."""
    for entry in os.scandir(folder):
        if not _is_shown(entry.name):
            continue
        if entry.is_dir():
            yield from _images(folder / entry.name, f"{name}/{entry.name}")
        elif entry.name.lower().endswith(ENDINGS):
            yield f"{name}/{entry.name}"


def _labels(files: list[_File]) -> np.ndarray:
    return np.array([file.label for file in files], np.str_)


def _seen(files: list[_File], wanted: Wanted, pool: np.ndarray, test: np.ndarray) -> Seen:
    """The images at some places among the files."""
    some = [files[i] for i in (*pool.tolist(), *test.tolist())]
    images = decoded([Encoded(f"'{file.path}'", file.path) for file in some], wanted)
    return Seen(images[: len(pool)], images[len(pool) :])
