"""Invasive ductal carcinoma: 277,524 patches of breast tissue, 50x50, colour, 2 classes."""

from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image
from pydantic import NonNegativeInt, PositiveInt

from runner.data import Data, Dataset
from runner.data._fetch import damaged
from runner.data._split import SEED, Split, assemble, joined

SIDE = 50  # pixels


class Idc(Data):
    """`root` holds PNG files named *_class0.png and *_class1.png, in folders of any depth.

    The counts are those of the residual-perturbation paper. It does not say which patches it took,
    so they are drawn here, with a fixed seed, from the sorted file names of each class; the patches
    of one patient can fall into both splits. A file name that occurs twice counts once, since the
    published archive repeats its whole content in a sub-folder; the files must then be the same.
    Patches that the slide's edge has cut smaller than 50x50 are passed over, and the draw goes on
    to the next. A patch's id is its file, its group the patient, with whom a published name begins.

    Get it from https://www.kaggle.com/datasets/paultimothymooney/breast-histopathology-images.
    """

    name: Literal["idc"] = "idc"
    size: PositiveInt | None = None  # resize to size x size pixels, bilinear; None: 50 x 50
    train_counts: tuple[NonNegativeInt, NonNegativeInt] = (29_164, 10_788)  # of class 0, of class 1
    test_counts: tuple[NonNegativeInt, NonNegativeInt] = (31_825, 11_595)

    @property
    def pictured(self) -> tuple[int, int, int, int]:
        return 3, self.size or SIDE, self.size or SIDE, 2

    @property
    def counts(self) -> tuple[int, int]:
        return sum(self.train_counts), sum(self.test_counts)

    def load(self) -> Dataset:
        parts = [self._class(0), self._class(1)]
        train, test = (_mixed(classes) for classes in zip(*parts, strict=True))
        return assemble(self, train, test, 2)

    def _class(self, label: int) -> tuple[Split, Split]:
        """Return the training and the test images of one class."""
        by_name: dict[str, list[Path]] = {}
        for file in sorted(self.root.rglob(f"*_class{label}.png")):
            by_name.setdefault(file.name, []).append(file)
        if not by_name:
            raise ValueError(
                f"no IDC under '{self.root}': put patches named *_class{label}.png there, "
                "in folders of any depth; they cannot be downloaded without an account"
            )
        num_train, num_test = self.train_counts[label], self.test_counts[label]
        side = self.size or SIDE
        images = np.empty((num_train + num_test, 3, side, side), dtype=np.uint8)
        names, taken, filled = sorted(by_name), [], 0
        for i in np.random.RandomState(SEED).permutation(len(names)):
            if filled == len(images):
                break
            files = by_name[names[i]]
            patch = _patch(files[-1], self.size)
            if patch is not None:
                _check_same(files)
                images[filled] = patch
                taken.append(files[-1])
                filled += 1
        if filled < len(images):
            raise ValueError(
                f"{filled} whole patches of class {label} under '{self.root}', expected "
                f"{len(images)}: lower data.train_counts or data.test_counts"
            )
        ids = {
            "file": np.array([file.relative_to(self.root).as_posix() for file in taken], np.str_),
            "group": np.array([_patient(file.name) for file in taken], np.str_),
        }
        whole, rows = Split(images, np.full(len(images), label), ids), np.arange(len(images))
        return whole.take(rows[:num_train]), whole.take(rows[num_train:])


def _mixed(classes: tuple[Split, ...]) -> Split:
    """Return both classes in a seeded random order, since "the first 1000" should hold both."""
    both = joined(classes)
    return both.take(np.random.RandomState(SEED).permutation(len(both.labels)))


def _patient(name: str) -> str:
    """The number before _idx, as in 8863_idx5_x1001_y801_class0.png; "" in a name without one."""
    before, found, _ = name.partition("_idx")
    return before if found else ""


def _check_same(files: list[Path]) -> None:
    """Refuse files of one name that are not the same: they are different patches."""
    for other in files[:-1]:
        if other.read_bytes() != files[-1].read_bytes():
            raise ValueError(
                f"'{other}' and '{files[-1]}' have the same name and are different images: give "
                "each patch a name of its own, such as one that begins with the patient's number"
            )


def _patch(file: Path, size: int | None) -> np.ndarray | None:
    """Return (3, H, W) uint8, or None for a patch that the slide's edge has cut."""
    try:
        with Image.open(file) as image:
            if image.size != (SIDE, SIDE):
                return None
            colour = image.convert("RGB")
    except (OSError, SyntaxError, ValueError) as error:
        raise damaged(file, error) from error
    if size is not None:
        colour = colour.resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(colour).transpose(2, 0, 1)
