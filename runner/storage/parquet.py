"""Parquet as every stage writes and reads it, and arrays on their way home from a task.

The columns of answers.parquet and robustness.parquet are named in `runner.storage.answers`, those
of scores and members in `runner.storage.scores`.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from runner.storage.cloud import CloudPath, folder_at
from runner.storage.store import Corrupt

BLOCK = 8192  # examples of one row group of answers: what a task of the audit holds of every model

# Floats do not repeat, so a dictionary of them takes six times as long to write and more room.
# Checksums make a flipped bit on a disk an error and not an answer.
WRITING = {"use_dictionary": False, "compression": "none", "write_page_checksum": True}

EXAMPLE = {"example": pa.int32()}


def arrays_table(task: int, part: int, arrays: Mapping[str, np.ndarray]) -> pa.Table:
    """Return a row an array, in which a task sends home what it found.

    Args:
        part: what of the task the arrays are of, such as one of its targets.
    """
    kept = [np.ascontiguousarray(values) for values in arrays.values()]
    shapes = [list(np.shape(values)) for values in arrays.values()]  # not of what is kept: 0-d
    return pa.table(
        {
            "task": [task] * len(kept),
            "part": [part] * len(kept),
            "name": list(arrays),
            "dtype": [values.dtype.str for values in kept],
            "shape": pa.array(shapes, pa.list_(pa.int64())),
            "values": pa.array([values.tobytes() for values in kept], pa.large_binary()),
        }
    )


def array_of(row: Mapping[str, Any]) -> np.ndarray:
    """Return the array of a row of `arrays_table`."""
    return np.frombuffer(row["values"], row["dtype"]).reshape(row["shape"])


def to_bytes(table: pa.Table, rows: int = BLOCK) -> bytes:
    """Return a table as Parquet, with at most so many rows in one row group."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, row_group_size=rows, **WRITING)
    return sink.getvalue().to_pybytes()


@contextmanager
def opened(path: str, columns: Mapping[str, pa.DataType]) -> Iterator[pq.ParquetFile]:
    """Open a Parquet file that has these columns, of numbers or of lists of so many numbers.

    Whatever is wrong with the file raises Corrupt. Not so what is wrong with the storage: then the
    system says a number, as pyarrow of damage never does.

    Raises:
        Corrupt: it is no Parquet file, or a column is missing or of another type.
        FileNotFoundError: there is no such file.
    """
    try:
        at = folder_at(path)
        source = at.open() if isinstance(at, CloudPath) else path
        with pq.ParquetFile(source, page_checksum_verification=True) as file:
            schema = file.schema_arrow
            for name, kind in columns.items():
                place = schema.get_field_index(name)  # not all fields, of which scores have many
                found = None if place < 0 else _kind(schema.field(place).type)
                if found != kind:
                    raise Corrupt(path, f"column {name} should be {kind}, is {found}")
            yield file
    except (FileNotFoundError, Corrupt):
        raise
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        if isinstance(error, OSError) and error.errno:
            raise
        raise Corrupt(path, str(error)) from error


def whole(path: str) -> pa.Table:
    """Return all of a file.

    Raises:
        Corrupt: it cannot be read.
    """
    with opened(path, {}) as file:
        return file.read()


def _kind(column: pa.DataType) -> pa.DataType:
    """The type of the numbers of a column, be they one a row or a list of them."""
    return column.value_type if pa.types.is_fixed_size_list(column) else column


def numbers(table: pa.Table, name: str) -> np.ndarray:
    """Return a column as an array: (B,), or (B, K) where each row is a list of K numbers."""
    column = table.column(name)
    column = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    if pa.types.is_fixed_size_list(column.type):
        return column.flatten().to_numpy().reshape(len(column), column.type.list_size)
    return column.to_numpy()
