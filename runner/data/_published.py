"""Whether files hold the data set that they are named after, some of it, or other images."""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from runner.data import Data
from runner.data._split import Split

SAME, ALIKE = 0.02, 0.15  # how far means may be apart: of one class, and of some classes together
ERRORS = 5  # standard errors of one mean, on top of that


class Published(NamedTuple):
    """What is known of a published data set."""

    title: str
    name: str  # of `data.name`
    shape: tuple[int, int, int]  # channels, H, W
    num_train: int
    num_test: int
    means: tuple[tuple[float, ...], ...]  # of [0, 1] pixels by channel: of each class, or of all
    spread: float  # standard deviation of an image's mean

    @property
    def counts(self) -> tuple[int, int]:
        """Examples of the training and of the test split."""
        return self.num_train, self.num_test


class Verdict(NamedTuple):
    """Whether data are the published bytes; if not, what a reader of the figures must know."""

    published: bool
    remarks: tuple[str, ...] = ()


MNIST = Published(
    *("MNIST", "mnist", (1, 28, 28), 60_000, 10_000),
    means=tuple(
        (mean,) for mean in (0.173, 0.076, 0.149, 0.142, 0.121, 0.129, 0.137, 0.115, 0.150, 0.123)
    ),
    spread=0.045,
)
FASHION_MNIST = Published(
    *("Fashion-MNIST", "fashion_mnist", (1, 28, 28), 60_000, 10_000),
    means=tuple(
        (mean,) for mean in (0.326, 0.223, 0.377, 0.259, 0.385, 0.137, 0.332, 0.168, 0.354, 0.301)
    ),
    spread=0.13,
)
CIFAR10 = Published(
    *("CIFAR-10", "cifar10", (3, 32, 32), 50_000, 10_000),
    means=(
        (0.526, 0.560, 0.589),
        (0.471, 0.454, 0.447),
        (0.489, 0.491, 0.424),
        (0.495, 0.456, 0.416),
        (0.472, 0.465, 0.378),
        (0.500, 0.465, 0.417),
        (0.470, 0.438, 0.346),
        (0.502, 0.480, 0.417),
        (0.490, 0.525, 0.555),
        (0.498, 0.485, 0.478),
    ),
    spread=0.16,
)
CIFAR100 = Published(
    *("CIFAR-100", "cifar100", (3, 32, 32), 50_000, 10_000),
    means=((0.5071, 0.4865, 0.4409),),
    spread=0.17,
)
SVHN = Published(
    *("SVHN", "svhn", (3, 32, 32), 73_257, 26_032),
    means=((0.4377, 0.4438, 0.4728),),
    spread=0.19,
)
ALL = (MNIST, FASHION_MNIST, CIFAR10, CIFAR100, SVHN)


def compared(data: Data, known: Published, train: Split, test: Split, same: bool) -> Verdict:
    """Return whether these are the published bytes, or a part or a variant of them.

    Bytes settle what is published. What is not may still be some of its images, or all of them
    stored anew: then each class is as bright as the published one. Other images, or labels that
    are those of other images, are not, and would be reported under a name that is not theirs.

    Args:
        same: whether the files are the published ones, byte for byte.

    Raises:
        ValueError: these are other images, or labels of others.
    """
    for split in (train, test):
        if split.images.shape[1:] != known.shape:
            here, there = (f"{h}x{w}" for _, h, w in (split.images.shape[1:], known.shape))
            raise _other(data, known, f"images of {here} pixels, where {known.title} has {there}")
    if same:
        return Verdict(True)
    for split, num in ((train, known.num_train), (test, known.num_test)):
        if why := _unlike(known, split, whole=len(split.labels) == num):
            alike = [k for k in ALL if k.shape == known.shape and not _unlike(k, split, False)]
            also = [f"; they are like those of {k.title}: data.name: {k.name}" for k in alike[:1]]
            raise _other(data, known, why + "".join(also))
    counts = (len(train.labels), len(test.labels))
    others = "their bytes are others"
    if counts != known.counts:
        others = f"{counts[0]:,} and {counts[1]:,} images in place of {known.num_train:,} and "
        others += f"{known.num_test:,}"
    remark = (
        f"data.root does not hold {known.title} as it is published ({others}): figures are not "
        "comparable with those of others"
    )
    return Verdict(False, (remark,))


def has_md5(contents: Sequence[bytes], sums: Sequence[str]) -> bool:
    """Return whether contents are the ones with these md5 sums."""
    pairs = zip(contents, sums, strict=True)
    return all(hashlib.md5(raw, usedforsecurity=False).hexdigest() == md5 for raw, md5 in pairs)


def _unlike(known: Published, split: Split, whole: bool) -> str:
    """What sets a split apart from the published images; "" where chance may have done it.

    By how many standard errors each class is farther off than variants of a set are: the squares
    add up to about the number of classes where nothing is wrong.
    """
    if not len(split.labels):
        return ""
    of_images = split.images.mean(axis=(2, 3), dtype=np.float32) / 255
    by_class = len(known.means) > 1
    allowed, total, worst, said = SAME if by_class or whole else ALIKE, 0.0, 0.0, ""
    for label, expected in enumerate(known.means):
        chosen = of_images[split.labels == label] if by_class else of_images
        if not len(chosen):
            continue
        mean = chosen.mean(axis=0, dtype=np.float64)
        at = int(np.abs(mean - expected).argmax())
        apart = max(abs(mean[at] - expected[at]) - allowed, 0) * np.sqrt(len(chosen)) / known.spread
        total += apart**2
        if apart > worst:
            of = f"of its class {label} " if by_class else ""
            there = f"where {known.title} has {expected[at]:.3f} (channel {at})"
            worst, said = apart, f"a mean of {mean[at]:.3f} over {len(chosen):,} images {of}{there}"
    return said if total > ERRORS**2 + 2 * len(known.means) else ""


def _other(data: Data, known: Published, why: str) -> ValueError:
    return ValueError(
        f"what lies under '{data.root}' is not {known.title}: {why}. Are the labels those of these "
        "images? Images of your own are read by data.name: npz"
    )
