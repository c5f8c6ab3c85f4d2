"""Data sets that are loaded and checked, and small files of every format they are read from."""

import functools
import gzip
import struct
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat

from attacks.by_name import find
from runner.data import Data, Dataset
from runner.data._published import FASHION_MNIST, MNIST, Published

RNG = functools.partial(np.random.default_rng, 0)


def data(name: str, root: Path | str = "unused", **fields: object) -> Data:
    """The data set of a name, which downloads nothing."""
    fields = {"name": name, "root": root, "download": False, **fields}
    return find("runner.data", name, Data).model_validate(fields)


def load(name: str, root: Path | str = "unused", **fields: object) -> Dataset:
    """A data set, which keeps what `Dataset` promises."""
    loaded = data(name, root, **fields).load()
    check(loaded)
    return loaded


def check(loaded: Dataset) -> None:
    """What Dataset promises of every data set."""
    channels = loaded.pool_images.shape[1]
    for images, labels in (
        (loaded.pool_images, loaded.pool_labels),
        (loaded.test_images, loaded.test_labels),
    ):
        if loaded.tabular:
            assert images.dtype == np.float32
            assert images.shape[2:] == (1, 1)
            assert images.min(initial=0) >= 0
            assert images.max(initial=0) <= 1
        else:
            assert images.dtype == np.uint8
        assert labels.dtype == np.int64
        assert images.shape == (len(labels), *loaded.pool_images.shape[1:])
        assert labels.min(initial=0) >= 0
        assert labels.max(initial=0) < loaded.num_classes
    assert len(loaded.mean) == len(loaded.std) == channels
    assert all(std > 0 for std in loaded.std)


def rows(images: np.ndarray) -> set[bytes]:
    """Each image's bytes, in no order."""
    return {image.tobytes() for image in images}


def idx(array: np.ndarray) -> bytes:
    """An array of bytes as MNIST's files have it."""
    head = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    return head + array.astype(np.uint8).tobytes()


def like(known: Published, labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Noise (N, channels, H, W) uint8 that is as bright as the published images of these labels."""
    means = np.array(known.means)[labels if len(known.means) > 1 else 0 * labels]
    low, high = np.maximum(0, 2 * means - 1), np.minimum(1, 2 * means)
    share = rng.random((len(labels), *known.shape), np.float32)
    ends = [end[:, :, None, None].astype(np.float32) for end in (low, high)]
    return np.rint(255 * (ends[0] + share * (ends[1] - ends[0]))).astype(np.uint8)


def write_idx(folder: Path, zipped: bool) -> dict[str, np.ndarray]:
    """Twelve training and five test images, as dark as MNIST's, as the four files."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = RNG()
    arrays = {
        "train-images-idx3-ubyte": rng.integers(0, 90, (12, 28, 28), dtype=np.uint8),
        "train-labels-idx1-ubyte": rng.integers(0, 10, 12, dtype=np.uint8),
        "t10k-images-idx3-ubyte": rng.integers(0, 90, (5, 28, 28), dtype=np.uint8),
        "t10k-labels-idx1-ubyte": rng.integers(0, 10, 5, dtype=np.uint8),
    }
    for name, array in arrays.items():
        if zipped:
            (folder / f"{name}.gz").write_bytes(gzip.compress(idx(array)))
        else:
            (folder / name).write_bytes(idx(array))
    return arrays


def write_cifar(root: Path, name: str, per_file: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """A small binary version; returns all images and fine labels in the order of the files."""
    rng = RNG()
    folder, names, classes = {
        "cifar10": (
            "cifar-10-batches-bin",
            [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"],
            10,
        ),
        "cifar100": ("cifar-100-binary", ["train.bin", "test.bin"], 100),
    }[name]
    (root / folder).mkdir(parents=True)
    images = rng.integers(0, 256, (per_file * len(names), 3, 32, 32), dtype=np.uint8)
    labels = rng.integers(0, classes, len(images), dtype=np.uint8)
    coarse = [bytes([99])] if classes == 100 else [b""]
    for i, file in enumerate(names):
        at = range(i * per_file, (i + 1) * per_file)
        records = [coarse[0] + bytes([labels[k]]) + images[k].tobytes() for k in at]
        (root / folder / file).write_bytes(b"".join(records))
    return images, labels


def write_svhn(root: Path) -> tuple[np.ndarray, np.ndarray]:
    """11 training and 4 test images; returns all images and their digits."""
    rng = RNG()
    images = rng.integers(0, 256, (15, 3, 32, 32), dtype=np.uint8)
    labels = np.arange(15) % 10
    for name, part in (("train", slice(0, 11)), ("test", slice(11, 15))):
        classes = np.where(labels[part] == 0, 10, labels[part]).astype(np.uint8)
        content = {"X": images[part].transpose(2, 3, 1, 0), "y": classes[:, None]}
        savemat(root / f"{name}_32x32.mat", content, do_compression=True)
    return images, labels


def write_idc(root: Path, counts: tuple[int, int]) -> dict[bytes, int]:
    """Patches of two patients; returns the label of each by its pixels."""
    rng, label_of = RNG(), {}
    for label, count in enumerate(counts):
        for i in range(count):
            patch = rng.integers(0, 256, (50, 50, 3), dtype=np.uint8)
            folder = root / f"{8863 + i % 2}" / str(label)
            folder.mkdir(parents=True, exist_ok=True)
            name = f"{8863 + i % 2}_idx5_x{i}51_y{i}01_class{label}.png"
            Image.fromarray(patch).save(folder / name)
            label_of[patch.transpose(2, 0, 1).tobytes()] = label
    return label_of


def write_idx_files(folder: Path) -> None:
    """60 images of 28x28 of each class and split, as bright as those that the folder is called."""
    known = MNIST if folder.name == "mnist" else FASHION_MNIST
    random = np.random.default_rng(0)
    folder.mkdir(parents=True)
    for split in ("train", "t10k"):
        labels = np.repeat(np.arange(10, dtype=np.uint8), 60)
        images = like(known, labels, random)[:, 0]
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            (folder / f"{split}-{kind}-ubyte").write_bytes(idx(array))
