"""What the scores of a reading say of each target, in a file that is small.

<experiment>/judged/<digest>/arm=<>/draws=<>/attack=<>/matrix=<>.npz, overlap.npz of all attacks
beside them, and DONE. Letters: A attacks, M models, F false positive rates, R resamples, T
thresholds, E edges.
"""

import io
import zipfile
from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from runner.audit._pooled import Pooled, pooled
from runner.storage import store
from runner.storage.cloud import Folder
from runner.storage.scores import Reading, folders_of
from runner.storage.store import Corrupt

Fields = TypeVar("Fields", "Judged", "Overlap")


class Judged(NamedTuple):
    """What the scores of one reading say of each target, and of all together."""

    rates: np.ndarray  # (F,)
    num_in: np.ndarray  # (M,) int64, members that are judged
    num_out: np.ndarray  # (M,) int64
    auc: np.ndarray  # (M,)
    tpr: np.ndarray  # (M, F) by the experiment's rule
    threshold: np.ndarray  # (M, F) the lowest score called a member by step_le; inf: nobody is
    false_positives: np.ndarray  # (M, F) int64, at or above it
    roc: np.ndarray  # (M, 201) TPR on `metrics.roc_grid`
    resampled: np.ndarray  # (M, R, 1 + F) AUC and TPRs under resamples of the examples; null: R = 0
    called_in: np.ndarray  # (M, T) int64, members at or above each threshold of a probability
    called_out: np.ndarray  # (M, T) int64
    # Of the true member matrix; of the null matrix all that follows is empty.
    shadow_threshold: np.ndarray  # (M, F) that a score must exceed, set by the other pairs
    shadow_true: np.ndarray  # (M, F) int64, members that do
    shadow_false: np.ndarray  # (M, F) int64
    edge: np.ndarray  # (E,) scores, rising
    pooled_true: np.ndarray  # (E,) int64, members of all targets above it
    pooled_false: np.ndarray  # (E,) int64

    @property
    def pooled(self) -> Pooled:
        """The ROC curve of all targets' scores in one heap."""
        sizes = int(self.num_in.sum()), int(self.num_out.sum())
        return pooled(self.pooled_true, self.pooled_false, *sizes)


class Overlap(NamedTuple):
    """Whom several attacks on one source's answers find, each at its own threshold of a target."""

    attacks: np.ndarray  # (A,) their names
    rates: np.ndarray  # (F,)
    both: np.ndarray  # (M, F, A, A) int64, members that two find; on the diagonal that one finds
    any_true: np.ndarray  # (M, F) int64, members that any of them calls one
    any_false: np.ndarray  # (M, F) int64, and non-members


def read_judged(folder: Folder, reading: Reading) -> Judged:
    """Return what `runner.audit.judge.judge` found of one reading, in the folder that it returned.

    Raises:
        Corrupt: the file is not what was written.
    """
    return _read(folder, _name(reading), Judged)


def read_overlap(folder: Folder, reading: Reading) -> Overlap:
    """Return whom all attacks on the answers of a reading find; there are two or more.

    Raises:
        Corrupt: the file is not what was written.
    """
    return _read(folder, _name_of_overlap(reading), Overlap)


def write_judged(folder: Folder, reading: Reading, arrays: Mapping[str, np.ndarray]) -> str:
    """Write a `Judged`, a field that is not given as empty, and return its file's name."""
    assert not set(arrays) - set(Judged._fields), arrays.keys()
    nothing = dict.fromkeys(Judged._fields, np.empty(0))
    return _write(folder, _name(reading), {**nothing, **arrays})


def write_overlap(
    folder: Folder, reading: Reading, attacks: Sequence[str], arrays: Mapping[str, np.ndarray]
) -> str:
    """Write an `Overlap` of these attacks, and return its file's name."""
    return _write(folder, _name_of_overlap(reading), {"attacks": np.array(attacks), **arrays})


def _read(folder: Folder, name: str, kind: type[Fields]) -> Fields:
    content = io.BytesIO(store.read(folder, name))
    try:
        with np.load(content, allow_pickle=False) as file:
            return kind(**{field: file[field] for field in kind._fields})
    except KeyError as error:
        raise Corrupt(str(folder / name), f"it has no {error}") from error
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        raise Corrupt(str(folder / name), f"not the arrays that were written ({error})") from error


def _write(folder: Folder, name: str, arrays: Mapping[str, np.ndarray]) -> str:
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **arrays)
    store.write(folder / name, content.getvalue())
    return name


def _name(reading: Reading) -> str:
    """As the folders of scores are called."""
    return f"{folders_of(reading._asdict())}.npz"


def _name_of_overlap(reading: Reading) -> str:
    """Beside the attacks."""
    return f"{folders_of({'arm': reading.arm, 'draws': reading.draws})}/overlap.npz"
