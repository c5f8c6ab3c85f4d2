"""Memorization scores that somebody published, held against the data before anything trains."""

import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from runner.data import Dataset, Ids

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
    """Return a file's scores for the first n examples of the data's file; the others have none.

    Score i is that of the example in row i of the file that the data came from, wherever the pool
    has it: a pool out of which a test split was drawn has other places. The rows of a second split
    follow those of the first. The order is compared by labels alone, since the file has no images.
    Source: Feldman and Zhang (2020), https://pluskid.github.io/influence-memorization/, whose
    files hold the 50,000 training images of CIFAR-100, or the training images of ImageNet.

    Args:
        file: .npz with `tr_mem` (n,) float in [-1, 1], and `tr_labels` (n,) int where it has them.

    Raises:
        ValueError: the file cannot be read, or its scores are not those of this pool.
    """
    scores, labels = _arrays(file)
    rows, num_rows = _rows(file, dataset)
    if scores.ndim != 1 or scores.dtype.kind != "f":
        raise _fault(file, f"{SCORES} should be (n,) float, is {scores.shape} {scores.dtype}")
    if np.isnan(scores).all():
        raise _fault(file, f"{SCORES} has no number among its {len(scores)}")
    if np.any(np.abs(scores) > 1):
        worst = scores[np.nanargmax(np.abs(scores))]
        raise _fault(file, f"{SCORES} should be differences of rates, in [-1, 1], but has {worst}")
    if len(scores) > num_rows:
        raise _fault(file, f"it has scores of {len(scores)} examples, and the pool has {num_rows}")
    there = rows < len(scores)
    if labels is not None:
        if labels.shape != scores.shape:
            raise _fault(file, f"{LABELS} should be {scores.shape}, is {labels.shape}")
        _compare(file, rows[there], labels[rows[there]], dataset.pool_labels[there])
    score = np.full(len(rows), np.nan)
    score[there] = scores[rows[there]]
    return Published(score, labels is not None)


def _rows(file: Path, dataset: Dataset) -> tuple[np.ndarray, int]:
    """The row of each example of the pool in the data's file, (N,) int64, and how many it has."""
    ids = dataset.pool_ids or {"source_row": np.arange(len(dataset.pool_labels))}
    if "source_row" not in ids:
        raise _fault(file, "it has scores by row, and these data are no rows of one file")
    rows, of_split, of_test = ids["source_row"].copy(), _split_of(ids), _split_of(dataset.test_ids)
    second = of_split != of_split[0]
    rows[second] += (~second).sum()  # all of the first split are there
    return rows, len(rows) + int((of_test == of_split[0]).sum())  # a test split drawn out of it


def _split_of(ids: Ids) -> np.ndarray:
    """The split, or the array of a file, that each example is a row of, (N,) str."""
    blank = np.full(len(ids.get("source_row", ())), "")
    return next((ids[name] for name in ("split", "array") if name in ids), blank)


def _arrays(file: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """The scores, and the labels where there are any; nothing is unpickled."""
    try:
        with file.expanduser().open("rb") as opened, zipfile.ZipFile(opened):  # not a lone array
            opened.seek(0)
            arrays = np.load(opened, allow_pickle=False)
            found = {key: arrays[key] for key in (SCORES, LABELS) if key in arrays}
    except (OSError, EOFError, RuntimeError, ValueError, zipfile.BadZipFile) as error:
        raise _fault(file, f"it cannot be read as .npz ({error})") from None
    if SCORES not in found:
        raise _fault(file, f"it has no {SCORES}, but {', '.join(sorted(arrays))}")
    return found[SCORES], found.get(LABELS)


def _compare(file: Path, rows: np.ndarray, labels: np.ndarray, expected: np.ndarray) -> None:
    wrong = np.flatnonzero(labels != expected)
    if len(wrong):
        i = wrong[np.argmin(rows[wrong])]
        raise _fault(
            file,
            f"{len(wrong)} of its {len(labels)} labels are not the pool's: example {rows[i]} is "
            f"{labels[i]} in the file and {expected[i]} in the pool. It is of other data, or in "
            "another order",
        )


def _fault(file: Path, why: str) -> ValueError:
    return ValueError(f"memorization.file: '{file}': {why}; {WAY_OUT}")
