"""One file of answers, Parquet or npz, as blocks of columns; nothing in it is unpickled."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple
from zipfile import BadZipFile

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from runner.faults import BadAnswers
from runner.foreign.listing import Given
from runner.storage.parquet import BLOCK

ALSO = {"labels": "label"}  # other names that are understood
TAKEN = ("example", "label", "logits", "log_odds", "correct", "view_logits")
NAMES = ("id", "group")  # of examples, whole columns; `runner.foreign.names` reads them
SCHEMA = "docs/foreign_answers.md has the schema"

Columns = Mapping[str, np.ndarray]  # of B examples, each (B,) or (B, ...)


class Read(NamedTuple):
    """An open file."""

    blocks: Iterator[Columns]  # of BLOCK examples, the last of fewer
    views: tuple[str, ...] | None  # None: it does not name them
    unread: tuple[str, ...]  # columns that are there and mean nothing here


@contextmanager
def open_given(given: Given) -> Iterator[Read]:
    """Open a file of answers; what is wrong with it, then or while it is read, is BadAnswers."""
    if given.opening:
        yield given.opening()
        return
    with readable(given.told):
        file = given.place.filesystem.open_input_file(given.place.path)
    with file:
        with readable(given.told):
            read = (_npz if given.told.lower().endswith(".npz") else _parquet)(file, given.told)
        yield read


@contextmanager
def readable(told: str) -> Iterator[None]:
    """Turn whatever reading a file raises into BadAnswers."""
    try:
        yield
    except BadAnswers:
        raise
    except (pa.ArrowException, OSError, EOFError, ValueError, KeyError, BadZipFile) as error:
        pickled = "pickle" in str(error)
        raise BadAnswers(
            told,
            f"it cannot be read ({(str(error) or repr(error)).splitlines()[0]})",
            "write it without objects: pickled files can run code and are never loaded"
            if pickled
            else "check that it is there, whole, and of the kind that its name says",
        ) from error


def npz_arrays(loaded: object, told: str) -> Mapping[str, np.ndarray]:
    """Return the arrays of an npz that np.load has opened."""
    if not isinstance(loaded, np.lib.npyio.NpzFile):
        raise BadAnswers(told, "it is a single array, not an npz", "write it with np.savez")
    return loaded


def given_numbers(column: pa.Array, name: str, told: str) -> np.ndarray:
    """Return a column as an array, with an axis more for each level of lists.

    Raises:
        BadAnswers: a value is missing, or lists differ in length.
    """
    if column.null_count:
        raise BadAnswers(told, f"{column.null_count} values of {name} are missing", SCHEMA)
    if not pa.types.is_nested(column.type):
        return column.to_numpy(zero_copy_only=False)
    if not len(column):
        return np.empty((0, 0))
    lengths = pc.call_function("list_value_length", [column]).unique().to_pylist()
    if len(lengths) > 1:
        raise BadAnswers(
            told, f"lists of {name} differ in length: {sorted(lengths)}", "write as many everywhere"
        )
    inner = given_numbers(column.flatten(), name, told)
    return inner.reshape(len(column), lengths[0], *inner.shape[1:])


def _parquet(file: pa.NativeFile, told: str) -> Read:
    whole = pq.ParquetFile(file, buffer_size=1 << 20, page_checksum_verification=True)
    names = whole.schema_arrow.names
    metadata = whole.schema_arrow.metadata or {}
    views = json.loads(metadata[b"views"]) if b"views" in metadata else None
    _check_once(names, told)

    def blocks() -> Iterator[Columns]:
        wanted = [name for name in names if _known(name) in TAKEN]
        with readable(told):
            for batch in whole.iter_batches(BLOCK, columns=wanted):
                columns = zip(batch.schema.names, batch.columns, strict=True)
                yield {_known(name): given_numbers(column, name, told) for name, column in columns}

    return Read(blocks(), _names(views, told), _unread(names))


def _npz(file: pa.NativeFile, told: str) -> Read:
    arrays = npz_arrays(np.load(file, allow_pickle=False), told)
    views = arrays["views"].tolist() if "views" in arrays else None
    names = [name for name in arrays if name != "views"]
    _check_once(names, told)
    whole = {_known(name): arrays[name] for name in names if _known(name) in TAKEN}
    sizes = {name: values.shape[:1] for name, values in whole.items()}
    if len(set(sizes.values())) > 1:
        told_sizes = ", ".join(f"{name} {whole[name].shape}" for name in sizes)
        raise BadAnswers(told, f"arrays are of different N: {told_sizes}", SCHEMA)

    def blocks() -> Iterator[Columns]:
        num_examples = next(iter(sizes.values()), (0,))[0]
        for start in range(0, num_examples, BLOCK):
            yield {name: values[start : start + BLOCK] for name, values in whole.items()}

    if not whole or () in sizes.values():
        raise BadAnswers(told, f"it has no answers, only {', '.join(arrays) or 'nothing'}", SCHEMA)
    return Read(blocks(), _names(views, told), _unread(names))


def _names(views: object, told: str) -> tuple[str, ...] | None:
    if views is None:
        return None
    if not isinstance(views, list) or not all(isinstance(view, str) for view in views):
        raise BadAnswers(told, f"views should be a list of names, is {views!r}", SCHEMA)
    if len(set(views)) < len(views):
        raise BadAnswers(told, f"a view is named twice: {views}", "name each view once")
    return tuple(views)


def _check_once(names: Sequence[str], told: str) -> None:
    """Refuse two columns of one meaning: whichever were read, the other might be the right one."""
    meanings = [_known(name) for name in names]
    for meaning in TAKEN:
        if meanings.count(meaning) > 1:
            both = [name for name in names if _known(name) == meaning]
            raise BadAnswers(told, f"{' and '.join(both)} mean the same", "write one of them")


def _known(name: str) -> str:
    return ALSO.get(name, name)


def _unread(names: list[str]) -> tuple[str, ...]:
    return tuple(name for name in names if _known(name) not in (*TAKEN, *NAMES))
