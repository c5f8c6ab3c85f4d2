"""Memorization scores that somebody published, held against the data before anything trains."""

import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from runner.data import Dataset

SCORES, LABELS = "tr_mem", "tr_labels"  # as Feldman and Zhang name them
WAY_OUT = "name the file that was made for this data set, or give memorization.arm instead"


class Published(NamedTuple):
    """The scores of a file, one for each example of the pool."""

    score: np.ndarray  # (N,) float64 in [-1, 1]; NaN where the file has none
    labels_compared: bool  # whether the file has labels, which then are the pool's


def check_file(file: Path, dataset: Dataset) -> None:
    """Say whether a file's scores are of this pool.

    Raises:
        ValueError: as for `read_file`.
    """
    read_file(file, dataset)


def read_file(file: Path, dataset: Dataset) -> Published:
    """Return a file's scores for the first n examples of the pool; the others have none.

    The order of the examples is compared by their labels alone, since the file has no images.
    Source: Feldman and Zhang (2020), https://pluskid.github.io/influence-memorization/, whose
    files hold the 50,000 training images of CIFAR-100, or the training images of ImageNet.

    Args:
        file: .npz with `tr_mem` (n,) float in [-1, 1], and `tr_labels` (n,) int where it has them.

    Raises:
        ValueError: the file cannot be read, or its scores are not those of this pool.
    """
    scores, labels = _arrays(file)
    num_pool = len(dataset.pool_labels)
    if scores.ndim != 1 or scores.dtype.kind != "f":
        raise _fault(file, f"{SCORES} should be (n,) float, is {scores.shape} {scores.dtype}")
    if np.isnan(scores).all():
        raise _fault(file, f"{SCORES} has no number among its {len(scores)}")
    if np.any(np.abs(scores) > 1):
        worst = scores[np.nanargmax(np.abs(scores))]
        raise _fault(file, f"{SCORES} should be differences of rates, in [-1, 1], but has {worst}")
    if len(scores) > num_pool:
        raise _fault(file, f"it has scores of {len(scores)} examples, and the pool has {num_pool}")
    if labels is not None:
        _compare(file, labels, dataset.pool_labels[: len(scores)])
    score = np.full(num_pool, np.nan)
    score[: len(scores)] = scores
    return Published(score, labels is not None)


def _arrays(file: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """The scores, and the labels where there are any; nothing is unpickled."""
    try:
        with file.expanduser().open("rb") as opened, zipfile.ZipFile(opened):  # not a lone array
            opened.seek(0)
            arrays = np.load(opened, allow_pickle=False)
            found = {key: arrays[key] for key in (SCORES, LABELS) if key in arrays}
    except (OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
        raise _fault(file, f"it cannot be read as .npz ({error})") from None
    if SCORES not in found:
        raise _fault(file, f"it has no {SCORES}, but {', '.join(sorted(arrays))}")
    return found[SCORES], found.get(LABELS)


def _compare(file: Path, labels: np.ndarray, expected: np.ndarray) -> None:
    if labels.shape != expected.shape:
        raise _fault(file, f"{LABELS} should be ({len(expected)},), is {labels.shape}")
    wrong = np.flatnonzero(labels != expected)
    if len(wrong):
        i = wrong[0]
        raise _fault(
            file,
            f"{len(wrong)} of its {len(labels)} labels are not the pool's: example {i} is "
            f"{labels[i]} in the file and {expected[i]} in the pool. It is of other data, or in "
            "another order",
        )


def _fault(file: Path, why: str) -> ValueError:
    return ValueError(f"memorization.file: '{file}': {why}; {WAY_OUT}")
