"""The idx files of MNIST and of the sets that took over its format."""

import gzip
import math
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from runner.data import Data, Dataset
from runner.data._fetch import damaged, obtain
from runner.data._published import Published, compared, has_md5
from runner.data._split import Split, assemble

NAMES = (  # images and labels to train on, then to test
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


def load_idx(
    data: Data,
    known: Published,
    source: Literal["MNIST", "FashionMNIST"],
    sums: Sequence[str],
    statistics: tuple[tuple[float, ...], tuple[float, ...]],
) -> Dataset:
    """Return the data of four idx files, gzipped or not.

    They are looked for in torchvision's folder, `root`/<class name>/raw, then in `root` itself;
    a folder must hold all four. Only a download writes, and only to torchvision's folder.

    Args:
        known: the data set that the files should hold.
        source: torchvision's class, which names the folder, and publishes mirrors and checksums.
        sums: the md5 of each file unzipped, in the order of `NAMES`: gzip adds a date and a name,
            so that the same images come in files of other sums.
        statistics: published mean and std.

    Raises:
        ValueError: files are missing or damaged, or hold other images.
    """
    folder = data.root / source / "raw"
    here = [path for name in NAMES if (path := _found(data.root, name))]
    paths = [path for name in NAMES if (path := _found(folder, name))]
    if len(paths) < len(NAMES):
        paths = here if len(here) == len(NAMES) else _obtained(data, known, source, folder)
    raw = [_unzipped(path) for path in paths]
    train, test = _split(paths[:2], raw[:2]), _split(paths[2:], raw[2:])
    verdict = compared(data, known, train, test, has_md5(raw, sums))
    return assemble(data, train, test, 10, statistics, *verdict)


def read_idx(file: Path, raw: bytes, num_axes: int) -> np.ndarray:
    """Return the uint8 array of an idx file, unzipped.

    Source of the format: http://yann.lecun.com/exdb/mnist/. Four magic bytes 0, 0, 8 (uint8) and
    the number of axes; the length of each axis as big-endian uint32; then the values.

    Raises:
        ValueError: the file is damaged, or holds something else.
    """
    start = 4 + 4 * num_axes
    if raw[:4] != bytes([0, 0, 8, num_axes]) or len(raw) < start:
        raise damaged(file, f"expected an idx file of uint8 with {num_axes} axes")
    shape = [int(length) for length in np.frombuffer(raw, ">u4", num_axes, offset=4)]
    if len(raw) - start != math.prod(shape):
        raise damaged(file, f"its head promises {math.prod(shape)} values, has {len(raw) - start}")
    return np.frombuffer(raw, np.uint8, offset=start).reshape(shape).copy()


def _obtained(data: Data, known: Published, source: str, folder: Path) -> list[Path]:
    """The four files, those downloaded that are not there."""
    wanted = f"the four idx files ({', '.join(NAMES)}; .gz or not)"
    mirrors, sums = list[str](), dict[str, str]()
    if data.download:
        from torchvision import datasets  # takes 2 s of CPU; the files may well be there

        published = getattr(datasets, source)
        mirrors, sums = published.mirrors, dict(published.resources)
    found = []
    for name in NAMES:
        file, urls = folder / f"{name}.gz", [f"{mirror}{name}.gz" for mirror in mirrors]
        path = _found(folder, name)
        found += [path or obtain(data, known.title, wanted, file, urls, sums.get(file.name, ""))]
    return found


def _found(folder: Path, name: str) -> Path | None:
    """Return the plain or the gzipped file of that name, if there is one."""
    return next((f for f in (folder / name, folder / f"{name}.gz") if f.is_file()), None)


def _unzipped(file: Path) -> bytes:
    try:
        return gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise damaged(file, error) from error


def _split(files: Sequence[Path], raw: Sequence[bytes]) -> Split:
    """Read one pair of files: images, and their labels."""
    (images, labels), axes = files, (3, 1)
    pixels, classes = map(read_idx, files, raw, axes)
    if len(pixels) != len(classes):
        raise damaged(labels, f"{len(classes)} labels for the {len(pixels)} images of '{images}'")
    if classes.max(initial=0) > 9:
        raise damaged(labels, f"expected labels 0 to 9, got {classes.max()}")
    return Split(pixels[:, None], classes.astype(np.int64))
