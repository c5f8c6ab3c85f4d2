"""CIFAR-10 and CIFAR-100: 50,000 training and 10,000 test images, 32x32, colour."""

import tarfile
import zlib
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from runner.data import Data, Dataset
from runner.data._fetch import damaged, obtain
from runner.data._published import CIFAR10, CIFAR100, Published, compared
from runner.data._split import Split, assemble, joined

PIXELS = 3 * 32 * 32  # of one record: the red plane, then green, then blue


class Version(NamedTuple):
    """What sets the two data sets apart. The archive and its format are described at
    https://www.cs.toronto.edu/~kriz/cifar.html."""

    known: Published
    num_classes: int
    archive: str
    md5: str
    folder: str  # in the archive, and in `root` once unpacked
    train: tuple[str, ...]
    label_bytes: int  # before the pixels of a record; the last one is the fine label
    torchvision: Literal["CIFAR10", "CIFAR100"]  # its class
    python: str  # the Python version's folder, as that class calls it
    statistics: tuple[tuple[float, ...], tuple[float, ...]]
    sums: tuple[tuple[int, int, int], tuple[int, int, int]]  # of train's pixels, then of test's


VERSIONS = {
    "cifar10": Version(
        CIFAR10,
        10,
        "cifar-10-binary.tar.gz",
        "c32a1d4ab5d03f1284b67883e8d87530",
        "cifar-10-batches-bin",
        tuple(f"data_batch_{i}.bin" for i in range(1, 6)),
        1,
        "CIFAR10",
        "cifar-10-batches-py",
        ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
        ((6415714204, 6295060180, 5829907619), (1290492328, 1266775083, 1176108223)),
    ),
    "cifar100": Version(
        CIFAR100,
        100,
        "cifar-100-binary.tar.gz",
        "03b5dce01913d631647c71ecec9e9cb8",
        "cifar-100-binary",
        ("train.bin",),
        2,
        "CIFAR100",
        "cifar-100-python",
        ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
        ((6620373279, 6352382090, 5756623363), (1328830313, 1272680636, 1153999502)),
    ),
}


class Cifar(Data):
    """`root` holds the binary version, as an archive or unpacked, or the Python version unpacked.

    The binary version is preferred, and is the one downloaded, because reading it unpickles
    nothing. The Python version is a set of pickles; it is read through torchvision, which compares
    every file with its published md5 before unpickling any.
    """

    name: Literal["cifar10", "cifar100"]

    @property
    def pictured(self) -> tuple[int, int, int, int]:
        return 3, 32, 32, VERSIONS[self.name].num_classes

    @property
    def counts(self) -> tuple[int, int]:
        return VERSIONS[self.name].known.counts

    def load(self) -> Dataset:
        version = VERSIONS[self.name]
        archive, folder = self.root / version.archive, self.root / version.folder
        python = self.root / version.python
        if folder.is_dir():
            train, test = _from_folder(folder, version)
        elif python.is_dir() and not archive.is_file():
            train, test = _from_torchvision(python, version)
        else:
            wanted = f"{version.archive} or the unpacked folder {version.folder}"
            url = f"https://www.cs.toronto.edu/~kriz/{version.archive}"
            obtain(self, version.known.title, wanted, archive, [url], version.md5)
            train, test = _from_archive(archive, version)
        pairs = zip((train, test), version.sums, strict=True)
        same = all(_is_published(split, sums) for split, sums in pairs)
        verdict = compared(self, version.known, train, test, same)
        return assemble(self, train, test, version.num_classes, version.statistics, *verdict)


def _is_published(split: Split, sums: tuple[int, int, int]) -> bool:
    """Whether a split has the published pixels and as many examples of each class.

    Neither md5 is published of the unpacked binary files, and the sums of 10 million pixels or more
    by channel are: nothing else adds up to them.
    """
    alike = len(set(np.bincount(split.labels))) == 1
    return alike and split.images.sum(axis=(0, 2, 3), dtype=np.int64).tolist() == [*sums]


def _from_folder(folder: Path, version: Version) -> tuple[Split, Split]:
    """Read the unpacked binary version."""

    def read(name: str) -> Split:
        file = folder / name
        try:
            return _records(file, file.read_bytes(), version)
        except OSError as error:
            raise damaged(file, error) from error

    return joined([read(name) for name in version.train]), read(_test_name(version))


def _from_archive(archive: Path, version: Version) -> tuple[Split, Split]:
    """Read the binary version without unpacking it, so that `root` may be read-only."""
    wanted = [*version.train, _test_name(version)]
    splits: dict[str, Split] = {}
    try:
        with tarfile.open(archive, "r|gz") as tar:
            for entry in tar:
                name = Path(entry.name).name
                content = tar.extractfile(entry) if entry.isfile() and name in wanted else None
                if content is not None:
                    splits[name] = _records(archive / name, content.read(), version)
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        raise damaged(archive, error) from error
    if missing := [name for name in wanted if name not in splits]:
        raise damaged(archive, f"it lacks {', '.join(missing)}")
    return joined([splits[name] for name in version.train]), splits[_test_name(version)]


def _from_torchvision(python: Path, version: Version) -> tuple[Split, Split]:
    """Read the Python version, if its checksums are the published ones."""
    from torchvision import datasets

    source = getattr(datasets, version.torchvision)

    def read(train: bool) -> Split:
        try:
            found = source(python.parent, train=train, download=False)
        except RuntimeError as error:
            raise damaged(python, "its files do not have the published md5") from error
        images = np.ascontiguousarray(found.data.transpose(0, 3, 1, 2))
        return Split(images, np.array(found.targets, dtype=np.int64))

    return read(True), read(False)


def _records(file: Path, raw: bytes, version: Version) -> Split:
    """Cut a binary file into its records: label bytes, then pixels."""
    length = version.label_bytes + PIXELS
    if not raw or len(raw) % length:
        raise damaged(file, f"{len(raw)} bytes are not a whole number of {length}-byte records")
    records = np.frombuffer(raw, np.uint8).reshape(-1, length)
    labels = records[:, version.label_bytes - 1].astype(np.int64)
    if labels.max() >= version.num_classes:
        raise damaged(file, f"expected labels below {version.num_classes}, got {labels.max()}")
    return Split(records[:, version.label_bytes :].reshape(-1, 3, 32, 32).copy(), labels)


def _test_name(version: Version) -> str:
    return "test_batch.bin" if version.num_classes == 10 else "test.bin"
