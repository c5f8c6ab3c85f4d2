"""scikit-learn's digits: 1797 handwritten digits, 8x8, grey. Nothing to download."""

from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import numpy as np

from runner.data import Data, Dataset
from runner.data._split import Split, assemble, halve

NUM_TEST = 397


class Digits(Data):
    """The file has no split of its own: 397 test images are drawn once and for all, 1400 remain.

    Its 17 grey levels, 0 to 16, are stretched to 0 to 255.
    """

    name: Literal["digits"] = "digits"

    def load(self) -> Dataset:
        levels, labels = _table()
        images = np.rint(levels * (255 / 16)).astype(np.uint8).reshape(-1, 1, 8, 8)
        train, test = halve(Split(images, labels.astype(np.int64)), NUM_TEST)
        return assemble(self, train, test, 10, published=True)


def _table() -> tuple[np.ndarray, np.ndarray]:
    """Grey levels (N, 64) and labels (N,), as scikit-learn's `load_digits` gives them.

    Its file is read without it: to import scikit-learn takes 1.3 s of CPU, to read the file 7 ms.
    """
    found = find_spec("sklearn")
    for place in (found and found.submodule_search_locations) or ():
        if (file := Path(place) / "datasets" / "data" / "digits.csv.gz").is_file():
            table = np.loadtxt(file, delimiter=",")
            return table[:, :-1], table[:, -1]
    from sklearn.datasets import load_digits  # another version, which keeps it elsewhere

    levels, labels = load_digits(return_X_y=True)
    return np.asarray(levels), np.asarray(labels)
