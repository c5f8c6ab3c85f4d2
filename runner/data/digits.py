"""scikit-learn's digits: 1797 handwritten digits, 8x8, grey. Nothing to download."""

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
        from sklearn.datasets import load_digits

        levels, labels = (np.asarray(part) for part in load_digits(return_X_y=True))
        images = np.rint(levels * (255 / 16)).astype(np.uint8).reshape(-1, 1, 8, 8)
        train, test = halve(Split(images, labels.astype(np.int64)), NUM_TEST)
        return assemble(self, train, test, 10, published=True)
