"""The Parquet files that one stage writes and the next one reads; their columns are named here."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from runner.cloud import CloudPath, Folder, folder_at
from runner.store import Corrupt

BLOCK = 8192  # examples of one row group of answers: what a task of the audit holds of every model
# Folders of the scores, outermost first. Attacks that judge a target at a time have one more.
PARTITIONS = ["arm", "draws", "attack", "matrix"]
OF_TARGETS = [*PARTITIONS, "model"]

# Floats do not repeat, so a dictionary of them takes six times as long to write and more room.
# Checksums make a flipped bit on a disk an error and not an answer.
WRITING = {"use_dictionary": False, "compression": "none", "write_page_checksum": True}

EXAMPLE = {"example": pa.int32()}
LABEL = {"label": pa.int32()}
LOG_ODDS = {"log_odds": pa.float32()}  # lists of V
KINDS = LOG_ODDS | {
    "logits": pa.float32(),  # lists of C, of the plain image
    "correct": pa.uint8(),  # lists of V: whether the label has the largest logit
    "view_logits": pa.float32(),  # lists of V * C, where they were asked for
}
MEANS = {f"{column}_mean": kind for column, kind in KINDS.items()}  # where there are more draws
ANSWERS = EXAMPLE | LABEL | KINDS | MEANS
ROBUST = EXAMPLE | {"label": pa.int32(), "prediction": pa.int32()}
AVERAGED = "prediction_mean"  # of robustness, where there are more draws


class Answered(NamedTuple):
    """What one model answers about N examples, by one draw or by the mean over several.

    What is None was not asked, and cannot be read.
    """

    log_odds: np.ndarray  # (N, V) float
    logits: np.ndarray | None = None  # (N, C) float, of the plain image
    correct: np.ndarray | None = None  # (N, V) bool
    view_logits: np.ndarray | None = None  # (N, V, C) float


def answers_to_bytes(
    labels: np.ndarray, once: Answered, views: Sequence[str], mean: Answered | None = None
) -> bytes:
    """Return answers.parquet: what one model says of examples 0 to N-1, in order.

    One row group holds BLOCK examples, so that block b is the same examples in every model's file.
    Floats are stored as float32.

    Args:
        labels: (N,) int.
        once: the answers, of the first draw where the model is randomized.
        views: the names of the V views.
        mean: of the mean probabilities over several draws of a randomized model.
    """
    return to_bytes(_answers_table(0, labels, once, views, mean))


def blocks_to_bytes(blocks: Iterable[tuple[np.ndarray, Answered]], views: Sequence[str]) -> bytes:
    """Return answers.parquet from the labels and answers of one block after the other.

    Args:
        blocks: of BLOCK examples, the last one of fewer; at least one.
        views: the names of the V views.
    """
    sink, file, first = pa.BufferOutputStream(), None, 0
    for labels, answered in blocks:
        assert first % BLOCK == 0, "only the last block may be short"
        table = _answers_table(first, labels, answered, views)
        file = file or pq.ParquetWriter(sink, table.schema, **WRITING)
        file.write_table(table)
        first += len(labels)
    assert file is not None, "there is at least one block"
    file.close()
    return sink.getvalue().to_pybytes()


def num_blocks(path: str) -> int:
    """Return the number of row groups of a file of answers."""
    with _open(path, EXAMPLE) as file:
        return file.num_row_groups


def read_views(path: str) -> tuple[str, ...]:
    """Return the names of the views of a file of answers."""
    with _open(path, LOG_ODDS) as file:
        views = json.loads((file.schema_arrow.metadata or {}).get(b"views", b"null"))
        if not isinstance(views, list):
            raise Corrupt(path, "it does not name its views")
        return tuple(views)


def num_classes(path: str) -> int:
    """Return the number of classes of a file of answers: by its logits, else by its labels."""
    with _open(path, LABEL) as file:
        schema = file.schema_arrow
        if "logits" in schema.names:
            return schema.field("logits").type.list_size
        return int(_numbers(file.read(columns=["label"]), "label").max(initial=0)) + 1


class Block(NamedTuple):
    """The same B examples of one model's answers."""

    example: np.ndarray  # (B,) int32, their places in the pool
    label: np.ndarray  # (B,) int32
    answers: np.ndarray  # (B, K) of the column that was asked for; (B, V, C) of view_logits


def read_block(path: str, block: int, column: str) -> Block:
    """Return one row group of a column of answers."""
    names = {**EXAMPLE, **LABEL, column: ANSWERS[column]}
    with _open(path, names) as file:
        if block >= file.num_row_groups:
            raise Corrupt(path, f"block {block} was asked of {file.num_row_groups} blocks")
        table = file.read_row_group(block, columns=list(names))
        answers = _by_view(_numbers(table, column), column, file)
        return Block(_numbers(table, "example"), _numbers(table, "label"), answers)


def read_answers(path: str, column: str) -> np.ndarray:
    """Return one whole column: label (N,) int32, or one of KINDS, as in `Answered`.

    Those on _mean are there where a randomized model was asked several times.
    """
    with _open(path, {column: ANSWERS[column]}) as file:
        return _by_view(_numbers(file.read(columns=[column]), column), column, file)


def has_column(path: str, column: str) -> bool:
    """Whether a file of answers has a column."""
    with _open(path, EXAMPLE) as file:
        return column in file.schema_arrow.names


def robustness_to_bytes(
    examples: np.ndarray,
    labels: np.ndarray,
    predictions: np.ndarray,
    mean: np.ndarray | None = None,
) -> bytes:
    """Return robustness.parquet: what one model answers to each attacked image, each (K,) int.

    Args:
        mean: predictions by the mean over several draws; `predictions` are then by the first.
    """
    columns = dict(zip(ROBUST, (examples, labels, predictions), strict=True))
    if mean is not None:
        columns[AVERAGED] = mean
    arrays = [pa.array(values.astype(np.int32)) for values in columns.values()]
    return to_bytes(pa.table(arrays, names=list(columns)))


class Robust(NamedTuple):
    """What one model answers to attacked images, each (K,) int32."""

    examples: np.ndarray
    labels: np.ndarray
    predictions: np.ndarray  # by the first draw of a randomized model's noise
    mean: np.ndarray | None  # by the mean over several, where there are any


def read_robustness(path: str) -> Robust:
    """Return what `robustness_to_bytes` wrote."""
    with _open(path, ROBUST) as file:
        averaged = AVERAGED if AVERAGED in file.schema_arrow.names else None
        table = file.read(columns=[*ROBUST, *([averaged] if averaged else [])])
        examples, labels, predictions = (_numbers(table, name) for name in ROBUST)
        return Robust(examples, labels, predictions, averaged and _numbers(table, averaged))


def members_to_bytes(member: np.ndarray) -> bytes:
    """Return member.parquet: the (M, N) int8 member matrix, one column per model."""
    columns = {_model(m): pa.array(row) for m, row in enumerate(member.astype(np.int8))}
    fields = [pa.field(name, pa.int8(), nullable=False) for name in columns]
    return to_bytes(pa.table(list(columns.values()), schema=pa.schema(fields)))


def read_members(path: str) -> np.ndarray:
    """Return the (M, N) int8 member matrix."""
    with _open(path, {_model(0): pa.int8()}) as file:
        table = file.read()
    if table.schema.names != [_model(m) for m in range(table.num_columns)]:
        raise Corrupt(path, f"expected one column per model, got {table.schema.names}")
    return np.stack([_numbers(table, name) for name in table.schema.names]).astype(np.int8)


class Reading(NamedTuple):
    """One reading of the answers: whose, by how many draws, by which attack, for which members."""

    arm: str
    draws: int  # 1, or the number that the answers are averaged over
    attack: str
    matrix: str


def scores_table(reading: Reading, examples: np.ndarray, scores: np.ndarray) -> pa.Table:
    """Return rows of the scores: where they belong, the example, and one column per model.

    Args:
        reading: becomes the folders that the rows lie in.
        examples: (B,) int32.
        scores: (M, B) float, stored as float32: half the bytes, and scores that agree in seven
            digits are the only ones that can tie.
    """
    with np.errstate(over="ignore"):  # what float32 cannot hold is infinite, and ranks as before
        columns = {_model(m): pa.array(row.astype(np.float32)) for m, row in enumerate(scores)}
    return _rows(reading._asdict(), examples, columns)


def target_table(reading: Reading, model: int, scores: np.ndarray) -> pa.Table:
    """Return the scores (N,) float, stored as float32, of one model as target."""
    places = {**reading._asdict(), "model": _model(model)}
    columns = {"score": pa.array(scores.astype(np.float32))}
    return _rows(places, np.arange(len(scores), dtype=np.int32), columns)


def read_scores(folder: Folder, reading: Reading, model: int) -> np.ndarray:
    """Return the scores (N,) float32 of one model as target, by example."""
    return read_targets(folder, reading, [model])[0]


def read_targets(folder: Folder, reading: Reading, models: Sequence[int]) -> np.ndarray:
    """Return the scores (K, N) float32 of K models as targets, by example.

    A file of blocks holds all targets, so each is opened once for all that are asked for. What is
    Corrupt is the whole folder, since the audit makes all of it anew.
    """
    path, names = _folders(reading._asdict()), [_model(model) for model in models]
    of_targets = [folder / "targets" / path / f"model={name}" for name in names]
    if of_targets[0].is_dir():
        return np.stack([_read_scores(folder, part, ["score"])[0] for part in of_targets])
    return _read_scores(folder, folder / "blocks" / path, names)


def place_of(table: pa.Table, partitions: Sequence[str]) -> str:
    """Return the folders that rows of one partition lie in, outermost first."""
    return _folders({name: table.column(name)[0].as_py() for name in partitions})


def _folders(places: Mapping[str, object]) -> str:
    """Percent-encoded: names may be anything that YAML holds."""
    return "/".join(f"{key}={quote(str(value), safe='')}" for key, value in places.items())


def _read_scores(folder: Folder, part: Folder, columns: Sequence[str]) -> np.ndarray:
    """Columns of all files in a part of a folder of scores, (K, N), each by example."""
    kinds = EXAMPLE | dict.fromkeys(columns, pa.float32())
    found = []
    for path in sorted(str(path) for path in part.glob("*.parquet")):
        try:
            with _open(path, kinds) as file:
                found.append(file.read(columns=list(kinds)))
        except Corrupt as corrupt:
            raise Corrupt(str(folder), str(corrupt)) from corrupt
    num_examples = sum(table.num_rows for table in found)
    if not num_examples:
        raise FileNotFoundError(f"no scores in {part}; run the audit first")
    scores = np.empty((len(columns), num_examples), np.float32)
    times = np.zeros(num_examples, np.int8)
    for table in found:
        examples = _numbers(table, "example")
        examples = examples[(examples >= 0) & (examples < num_examples)]
        if len(examples) < table.num_rows:
            break
        times[examples] += 1
        for row, column in zip(scores, columns, strict=True):
            row[examples] = _numbers(table, column)
    if not np.all(times == 1):
        raise Corrupt(str(folder), f"examples in {part} are missing, or are there twice")
    return scores


def arrays_table(task: int, model: int, arrays: Mapping[str, np.ndarray]) -> pa.Table:
    """Return a row an array, in which a task sends home what it found of a target."""
    kept = [np.ascontiguousarray(values) for values in arrays.values()]
    shapes = [list(np.shape(values)) for values in arrays.values()]  # not of what is kept: 0-d
    return pa.table(
        {
            "task": [task] * len(kept),
            "model": [model] * len(kept),
            "name": list(arrays),
            "dtype": [values.dtype.str for values in kept],
            "shape": pa.array(shapes, pa.list_(pa.int64())),
            "values": pa.array([values.tobytes() for values in kept], pa.large_binary()),
        }
    )


def array_of(row: Mapping[str, Any]) -> np.ndarray:
    """Return the array of a row of `arrays_table`."""
    return np.frombuffer(row["values"], row["dtype"]).reshape(row["shape"])


def _rows(
    places: Mapping[str, object], examples: np.ndarray, columns: Mapping[str, pa.Array]
) -> pa.Table:
    """Rows of scores with the names of the folders that they belong to, the same in each."""
    first = pa.array(np.zeros(len(examples), np.int8))
    named = {name: pa.array([str(value)]).take(first) for name, value in places.items()}
    return pa.table({**named, "example": pa.array(examples), **columns})


def _model(number: int) -> str:
    return f"m{number:03d}"


def _answers_table(
    first: int,
    labels: np.ndarray,
    once: Answered,
    views: Sequence[str],
    mean: Answered | None = None,
) -> pa.Table:
    """The rows of answers.parquet from example `first` on."""
    if len(views) != once.log_odds.shape[1]:
        raise ValueError(f"{len(views)} names of views for log-odds of shape {once.log_odds.shape}")
    columns = {
        "example": pa.array(np.arange(first, first + len(labels), dtype=np.int32)),
        "label": pa.array(labels.astype(np.int32)),
    }
    for said, suffix in ((once, ""), (mean, "_mean")):
        for name, values in (said._asdict() if said else {}).items():
            if values is not None:
                columns[name + suffix] = _lists(values.reshape(len(values), -1), KINDS[name])
    fields = [pa.field(name, column.type, nullable=False) for name, column in columns.items()]
    schema = pa.schema(fields, metadata={"views": json.dumps(list(views))})
    return pa.table(list(columns.values()), schema=schema)


def _lists(values: np.ndarray, kind: pa.DataType) -> pa.Array:
    """A (N, K) array as N lists of K numbers, none of which can be missing."""
    lists = pa.list_(pa.field("item", kind, nullable=False), values.shape[1])
    flat = np.ascontiguousarray(values, kind.to_pandas_dtype()).ravel()
    return pa.FixedSizeListArray.from_arrays(pa.array(flat), type=lists)


def _by_view(values: np.ndarray, column: str, file: pq.ParquetFile) -> np.ndarray:
    """Logits of all views as (N, V, C); any other column as it is."""
    if not column.startswith("view_logits"):
        return values
    num_views = file.schema_arrow.field("log_odds").type.list_size
    return values.reshape(len(values), num_views, -1)


def to_bytes(table: pa.Table) -> bytes:
    """Return a table as Parquet."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, row_group_size=BLOCK, **WRITING)
    return sink.getvalue().to_pybytes()


@contextmanager
def _open(path: str, columns: Mapping[str, pa.DataType]) -> Iterator[pq.ParquetFile]:
    """A Parquet file with these columns of numbers; whatever is wrong with it raises Corrupt.

    Not so what is wrong with the storage: then the system says a number, as pyarrow of damage
    never does.
    """
    try:
        at = folder_at(path)
        source = at.open() if isinstance(at, CloudPath) else path
        with pq.ParquetFile(source, page_checksum_verification=True) as file:
            found = {field.name: _kind(field.type) for field in file.schema_arrow}
            for name, kind in columns.items():
                if found.get(name) != kind:
                    raise Corrupt(path, f"column {name} should be {kind}, is {found.get(name)}")
            yield file
    except (FileNotFoundError, Corrupt):
        raise
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        if isinstance(error, OSError) and error.errno:
            raise
        raise Corrupt(path, str(error)) from error


def _kind(column: pa.DataType) -> pa.DataType:
    """The type of the numbers of a column, be they one a row or a list of them."""
    return column.value_type if pa.types.is_fixed_size_list(column) else column


def _numbers(table: pa.Table, name: str) -> np.ndarray:
    """A column as an array: (B,), or (B, K) where each row is a list of K numbers."""
    column = table.column(name).combine_chunks()
    if pa.types.is_fixed_size_list(column.type):
        return column.flatten().to_numpy().reshape(len(column), column.type.list_size)
    return column.to_numpy()
