"""Member vectors and matrices of a tree, by what they hold: 1 in, 0 out, -1 not judged."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from runner.foreign.members import READERS, read_member
from runner.foreign.reading import readable
from runner.foreign.trees.tree import Array, Tree

FEWEST = 4  # examples of a member vector, or of a matrix's longer axis


def vectors(tree: Tree) -> list[Array]:
    """Return the arrays (N,) that may be a model's own members: bool, or whole numbers 0 and 1."""
    return [a for a in tree.arrays if len(a.shape) == 1 and a.shape[0] >= FEWEST and _holds(a)]


def matrices(tree: Tree) -> Iterator[tuple[Array, np.ndarray]]:
    """Yield the arrays (A, B) that may be a member matrix, and what they hold, int8, each once."""
    seen: list[np.ndarray] = []
    for array in tree.arrays:
        if len(array.shape) == 2 and min(array.shape) > 1 and _holds(array):
            values = loaded(array)
            if not any(np.array_equal(values, other) for other in seen):
                seen.append(values)
                yield array, values


def ways(matrix: np.ndarray) -> list[np.ndarray]:
    """Return a matrix with the models as rows, which are no more than the examples."""
    return [turned for turned in (matrix, matrix.T) if len(turned) <= turned.shape[1]][:1]


def loaded(array: Array) -> np.ndarray:
    """Return a member vector or matrix as int8."""
    with readable(array.place):
        return np.asarray(array.load()).astype(np.int8)


def is_matrix(where: str | None) -> bool:
    """Whether a user gave a file that is a member matrix by its name."""
    known = where is not None and where.rpartition(".")[2].lower() in READERS
    return known and Path(where or "").is_file()


def given_matrix(where: str, names: Sequence[str]) -> np.ndarray:
    """Return the member matrix of a file that a user gave, int8.

    Raises:
        BadAnswers: it cannot be read, or is none.
    """
    return read_member(where, [names])


def _holds(array: Array) -> bool:
    """Whether an array holds nothing but 1, 0 and -1, and not the same everywhere."""
    if array.dtype.kind == "b":
        return True
    if array.dtype.kind not in "iuf":
        return False
    with readable(array.place):
        values = array.load()
        some = np.asarray(values[tuple(slice(0, 64) for _ in array.shape)])
        if not np.isin(some, (-1, 0, 1)).all():
            return False
        whole = np.asarray(values)
    return bool(np.isin(whole, (-1, 0, 1)).all() and whole.min() < whole.max())
