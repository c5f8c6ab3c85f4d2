"""What the examples of other people's answers are called, where their files say so."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow.parquet as pq

from runner.faults import BadAnswers
from runner.foreign.listing import Given
from runner.foreign.reading import NAMES, SCHEMA, npz_arrays, readable
from runner.storage.sources import Ids


def read_names(arms: Mapping[str, Sequence[Given]], num_examples: int) -> Ids:
    """Return the ids and groups of the examples, columns (N,) of int64 or text; {} without.

    Raises:
        BadAnswers: they are no names of N examples, an id is there twice, or files disagree.
    """
    first: dict[str, tuple[Given, np.ndarray]] = {}
    for given in (one for of_arm in arms.values() for one in of_arm):
        for name, values in _read(given).items():
            found = _checked(name, values, num_examples, given.told)
            told, expected = first.setdefault(name, (given, found))
            differing = np.flatnonzero(found != expected)
            if len(differing):
                at = differing[0]
                raise BadAnswers(
                    given.told,
                    f"{name} {found[at]} in row {at} is {expected[at]} in {told.told}",
                    "ask every model about the same examples in the same order",
                )
    return {name: first[name][1] for name in NAMES if name in first}


def _read(given: Given) -> dict[str, np.ndarray]:
    if given.opening:  # what its examples are called is known of the whole tree
        return {}
    with readable(given.told), given.place.filesystem.open_input_file(given.place.path) as file:
        if given.told.lower().endswith(".npz"):
            arrays = npz_arrays(np.load(file, allow_pickle=False), given.told)
            return {name: arrays[name] for name in NAMES if name in arrays}
        whole = pq.ParquetFile(file)
        names = [name for name in NAMES if name in whole.schema_arrow.names]
        table = whole.read(columns=names)
        return {name: np.array(table.column(name).to_pylist()) for name in names}


def _checked(name: str, values: np.ndarray, num_examples: int, told: str) -> np.ndarray:
    """The names as int64 or text, one for each example; ids are each there once."""
    if values.shape != (num_examples,) or values.dtype.kind not in "iuU":
        raise BadAnswers(
            told,
            f"{name} should be ({num_examples},) whole numbers or text, one for each example, "
            f"is {values.shape} {values.dtype}",
            SCHEMA,
        )
    if name == NAMES[0] and len(np.unique(values)) < num_examples:
        raise BadAnswers(told, f"an {name} is there twice", "give each example its own")
    return values if values.dtype.kind == "U" else values.astype(np.int64)
