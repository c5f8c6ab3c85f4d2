"""SVHN: 73,257 training and 26,032 test images of house-number digits, 32x32, colour."""

from pathlib import Path
from typing import Literal

import numpy as np

from runner.data import Data, Dataset
from runner.data._fetch import damaged, obtain
from runner.data._published import SVHN, compared, has_md5
from runner.data._split import Split, assemble

URL = "http://ufldl.stanford.edu/housenumbers/"
SUMS = {  # md5, as torchvision has them; to import it takes 2 s of CPU
    "train": "e26dedcc434d2e4c54c9b2d4a06d8373",
    "test": "eb5a983be6a315427106f1b164d9cef3",
}


class Svhn(Data):
    """`root` holds train_32x32.mat and test_32x32.mat; the "extra" images are not used."""

    name: Literal["svhn"] = "svhn"

    @property
    def pictured(self) -> tuple[int, int, int, int]:
        return 3, 32, 32, 10

    @property
    def counts(self) -> tuple[int, int]:
        return SVHN.counts

    def load(self) -> Dataset:
        paths, sums = zip(*map(self._file, ("train", "test")), strict=True)
        train, test = map(read_mat, paths)
        same = has_md5([path.read_bytes() for path in paths], sums)
        statistics = ((0.4377, 0.4438, 0.4728), (0.1980, 0.2010, 0.1970))
        return assemble(self, train, test, 10, statistics, *compared(self, SVHN, train, test, same))

    def _file(self, split: str) -> tuple[Path, str]:
        """The file of a split, and its published md5."""
        name, md5 = f"{split}_32x32.mat", SUMS[split]
        wanted = "train_32x32.mat and test_32x32.mat"
        return obtain(self, "SVHN", wanted, self.root / name, [URL + name], md5), md5


def read_mat(file: Path) -> Split:
    """Return the images and labels of one file: `X` (32, 32, 3, N) uint8 and `y` (N, 1).

    The files call the digit 0 class 10. Source: http://ufldl.stanford.edu/housenumbers/.

    Raises:
        ValueError: the file is damaged, or holds something else.
    """
    from scipy.io import loadmat

    try:
        content = loadmat(file)
        pixels, classes = content["X"], content["y"].ravel()
    except Exception as error:  # loadmat documents none, and raises a dozen kinds
        raise damaged(file, f"{type(error).__name__}: {error}") from error
    if pixels.dtype != np.uint8 or pixels.shape != (32, 32, 3, len(classes)):
        raise damaged(
            file,
            f"expected X as (32, 32, 3, {len(classes)}) uint8, got {pixels.shape} {pixels.dtype}",
        )
    if not np.isin(classes, np.arange(1, 11)).all():
        raise damaged(file, f"expected labels 1 to 10, got {np.unique(classes)}")
    return Split(np.ascontiguousarray(pixels.transpose(3, 2, 0, 1)), classes.astype(np.int64) % 10)
