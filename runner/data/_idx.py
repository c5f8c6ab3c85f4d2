"""The idx files of MNIST and of the sets that took over its format."""

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
from torchvision.datasets import MNIST

from runner.data import Data
from runner.data._fetch import damaged, obtain
from runner.data._split import Split


def load_idx(data: Data, title: str, source: type[MNIST]) -> tuple[Split, Split]:
    """Return (train, test) from four idx files, gzipped or not.

    They are looked for in torchvision's folder, `root`/<class name>/raw, then in `root` itself;
    a folder must hold all four. Only a download writes, and only to torchvision's folder.

    Args:
        source: the torchvision data set that publishes the file names, mirrors and checksums.
    """
    folder = data.root / source.__name__ / "raw"
    names = [name.removesuffix(".gz") for name, _ in source.resources]
    here = [_found(data.root, name) for name in names]
    there = [_found(folder, name) for name in names]
    if all(here) and not all(there):
        there = here
    wanted = f"the four idx files ({', '.join(names)}; .gz or not)"
    paths = [
        path or obtain(data, title, wanted, folder / name, [m + name for m in source.mirrors], md5)
        for path, (name, md5) in zip(there, source.resources, strict=True)
    ]
    return _split(paths[0], paths[1]), _split(paths[2], paths[3])


def read_idx(file: Path, num_axes: int) -> np.ndarray:
    """Return the uint8 array of an idx file.

    Source of the format: http://yann.lecun.com/exdb/mnist/. Four magic bytes 0, 0, 8 (uint8) and
    the number of axes; the length of each axis as big-endian uint32; then the values.

    Raises:
        ValueError: the file is damaged, or holds something else.
    """
    try:
        raw = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise damaged(file, error) from error
    start = 4 + 4 * num_axes
    if raw[:4] != bytes([0, 0, 8, num_axes]) or len(raw) < start:
        raise damaged(file, f"expected an idx file of uint8 with {num_axes} axes")
    shape = [int(length) for length in np.frombuffer(raw, ">u4", num_axes, offset=4)]
    if len(raw) - start != math.prod(shape):
        raise damaged(file, f"its head promises {math.prod(shape)} values, has {len(raw) - start}")
    return np.frombuffer(raw, np.uint8, offset=start).reshape(shape).copy()


def _found(folder: Path, name: str) -> Path | None:
    """Return the plain or the gzipped file of that name, if there is one."""
    return next((f for f in (folder / name, folder / f"{name}.gz") if f.is_file()), None)


def _split(images: Path, labels: Path) -> Split:
    """Read one pair of files."""
    pixels, classes = read_idx(images, 3), read_idx(labels, 1)
    if len(pixels) != len(classes):
        raise damaged(labels, f"{len(classes)} labels for the {len(pixels)} images of '{images}'")
    if classes.max(initial=0) > 9:
        raise damaged(labels, f"expected labels 0 to 9, got {classes.max()}")
    return Split(pixels[:, None], classes.astype(np.int64))
