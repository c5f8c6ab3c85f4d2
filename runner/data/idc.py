"""Invasive ductal carcinoma: 277,524 patches of breast tissue, 50x50, colour, 2 classes."""

from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image
from pydantic import NonNegativeInt, PositiveInt

from runner.data import Data, Dataset
from runner.data._fetch import damaged
from runner.data._split import SEED, Split, assemble

SIDE = 50  # pixels


class Idc(Data):
    """`root` holds PNG files named *_class0.png and *_class1.png, in folders of any depth.

    The counts are those of the residual-perturbation paper. It does not say which patches it took,
    so they are drawn here, with a fixed seed, from the sorted file names of each class; the patches
    of one patient can fall into both splits. A file name that occurs twice counts once, since the
    published archive repeats its whole content in a sub-folder. Patches that the slide's edge has
    cut smaller than 50x50 are passed over, and the draw goes on to the next.

    Get it from https://www.kaggle.com/datasets/paultimothymooney/breast-histopathology-images.
    """

    name: Literal["idc"] = "idc"
    size: PositiveInt | None = None  # resize to size x size pixels, bilinear; None: 50 x 50
    train_counts: tuple[NonNegativeInt, NonNegativeInt] = (29_164, 10_788)  # of class 0, of class 1
    test_counts: tuple[NonNegativeInt, NonNegativeInt] = (31_825, 11_595)

    def load(self) -> Dataset:
        parts = [self._class(0), self._class(1)]
        train, test = (_mixed(*classes) for classes in zip(*parts, strict=True))
        return assemble(self, train, test, 2)

    def _class(self, label: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the training and the test images of one class."""
        by_name = {file.name: file for file in sorted(self.root.rglob(f"*_class{label}.png"))}
        if not by_name:
            raise ValueError(
                f"no IDC under '{self.root}': put patches named *_class{label}.png there, "
                "in folders of any depth; they cannot be downloaded without an account"
            )
        num_train, num_test = self.train_counts[label], self.test_counts[label]
        side = self.size or SIDE
        images = np.empty((num_train + num_test, 3, side, side), dtype=np.uint8)
        names, filled = sorted(by_name), 0
        for i in np.random.RandomState(SEED).permutation(len(names)):
            if filled == len(images):
                break
            patch = _patch(by_name[names[i]], self.size)
            if patch is not None:
                images[filled] = patch
                filled += 1
        if filled < len(images):
            raise ValueError(
                f"{filled} whole patches of class {label} under '{self.root}', expected "
                f"{len(images)}: lower data.train_counts or data.test_counts"
            )
        return images[:num_train], images[num_train:]


def _mixed(negative: np.ndarray, positive: np.ndarray) -> Split:
    """Return both classes in a seeded random order, since "the first 1000" should hold both."""
    labels = np.repeat(np.arange(2), [len(negative), len(positive)])
    order = np.random.RandomState(SEED).permutation(len(labels))
    return Split(np.concatenate([negative, positive])[order], labels[order])


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
