"""What one model answers: about the pool in answers.parquet, under attack in robustness.parquet,
and after each epoch of its training in loss_trace.parquet."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from attacks.membership import Column
from runner.storage.cloud import folder_at
from runner.storage.parquet import BLOCK, EXAMPLE, WRITING, numbers, opened, to_bytes
from runner.storage.store import LOSS_TRACE, Corrupt

LABEL = {"label": pa.int32()}
LOG_ODDS = {"log_odds": pa.float32()}  # lists of V
KINDS = LOG_ODDS | {
    "logits": pa.float32(),  # lists of C, of the plain image
    "correct": pa.uint8(),  # lists of V: whether the label has the largest logit
    "view_logits": pa.float32(),  # lists of V * C, where they were asked for
}
MEANS = {f"{column}_mean": kind for column, kind in KINDS.items()}  # where there are more draws
TRACE = {"loss_trace": pa.float32()}  # lists of E, of the plain image after each epoch
ANSWERS = EXAMPLE | LABEL | KINDS | MEANS | TRACE
ROBUST = EXAMPLE | LABEL | {"prediction": pa.int32()}
AVERAGED = "prediction_mean"  # of robustness, where there are more draws


class Source(NamedTuple):
    """An arm's answers."""

    arm: str
    draws: int  # 1: of one draw; more: of the mean over so many


Sources = Mapping[Source, Sequence[str]]  # the paths of the M files of answers


def column_of(reads: Column, source: Source) -> str:
    """Return the column that a source is read from; a training's losses are the same for all."""
    return reads if source.draws == 1 or reads in TRACE else f"{reads}_mean"


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


def trace_to_bytes(labels: np.ndarray, losses: np.ndarray) -> bytes:
    """Return loss_trace.parquet, in row groups as those of answers.parquet.

    Args:
        labels: (N,) int.
        losses: (N, E) float, of each example after each epoch.
    """
    columns = {
        "example": pa.array(np.arange(len(labels), dtype=np.int32)),
        "label": pa.array(labels.astype(np.int32)),
        "loss_trace": _lists(losses, TRACE["loss_trace"]),
    }
    fields = [pa.field(name, column.type, nullable=False) for name, column in columns.items()]
    return to_bytes(pa.table(list(columns.values()), schema=pa.schema(fields)))


def num_blocks(path: str) -> int:
    """Return the number of row groups of a file of answers."""
    with opened(path, EXAMPLE) as file:
        return file.num_row_groups


def read_views(path: str) -> tuple[str, ...]:
    """Return the names of the views of a file of answers."""
    with opened(path, LOG_ODDS) as file:
        views = json.loads((file.schema_arrow.metadata or {}).get(b"views", b"null"))
        if not isinstance(views, list):
            raise Corrupt(path, "it does not name its views")
        return tuple(views)


def num_classes(path: str) -> int:
    """Return the number of classes of a file of answers: by its logits, else by its labels."""
    with opened(path, LABEL) as file:
        schema = file.schema_arrow
        if "logits" in schema.names:
            return schema.field("logits").type.list_size
        return int(numbers(file.read(columns=["label"]), "label").max(initial=0)) + 1


class AnswerBlock(NamedTuple):
    """The same B examples of one model's answers."""

    example: np.ndarray  # (B,) int32, their places in the pool
    label: np.ndarray  # (B,) int32
    answers: np.ndarray  # (B, K) of the column that was asked for; (B, V, C) of view_logits


def read_block(path: str, block: int, column: str) -> AnswerBlock:
    """Return one row group of a column of answers, or of the training's losses."""
    return read_blocks(path, range(block, block + 1), column)


def read_blocks(path: str, blocks: range, column: str) -> AnswerBlock:
    """Return some row groups of such a column, one after the other: the file is opened once.

    Footers of files of many blocks take longer to read than a block does.
    """
    path = _file_of(path, column)
    there = _there(path, column)
    names = {**EXAMPLE, **LABEL, there: ANSWERS[there]}
    with opened(path, names) as file:
        if blocks[-1] >= file.num_row_groups:
            raise Corrupt(path, f"block {blocks[-1]} was asked of {file.num_row_groups} blocks")
        table = file.read_row_groups([*blocks], columns=list(names), use_threads=False)
        answers = _by_view(numbers(table, there), column, file)
        return AnswerBlock(numbers(table, "example"), numbers(table, "label"), answers)


def numbers_each(path: str, column: str) -> int:
    """Return how many numbers of such a column each example has."""
    path = _file_of(path, column)
    there = _there(path, column)
    with opened(path, {there: ANSWERS[there]}) as file:
        return file.schema_arrow.field(there).type.list_size


def read_answers(path: str, column: str) -> np.ndarray:
    """Return one whole column: label (N,) int32, or one of KINDS, as in `Answered`.

    Those on _mean are there where a randomized model was asked several times; loss_trace (N, E) is
    where training kept it.
    """
    path = _file_of(path, column)
    there = _there(path, column)
    with opened(path, {there: ANSWERS[there]}) as file:
        return _by_view(numbers(file.read(columns=[there]), there), column, file)


def has_column(path: str, column: str) -> bool:
    """Whether a file of answers has a column."""
    with opened(path, EXAMPLE) as file:
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
    with opened(path, ROBUST) as file:
        averaged = AVERAGED if AVERAGED in file.schema_arrow.names else None
        table = file.read(columns=[*ROBUST, *([averaged] if averaged else [])])
        examples, labels, predictions = (numbers(table, name) for name in ROBUST)
        return Robust(examples, labels, predictions, averaged and numbers(table, averaged))


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


def _file_of(path: str, column: str) -> str:
    """The file that has a column: a model's answers, or what its training wrote beside them."""
    return str(folder_at(path).parents[2] / LOSS_TRACE) if column in TRACE else path


def _there(path: str, column: str) -> str:
    """Which column of a file holds an answer: of the plain image alone, logits are those of all."""
    plain = column.replace("view_logits", "logits")
    if plain == column or has_column(path, column) or read_views(path) != ("identity",):
        return column
    return plain


def _by_view(values: np.ndarray, column: str, file: pq.ParquetFile) -> np.ndarray:
    """Logits of all views as (N, V, C); any other column as it is."""
    if not column.startswith("view_logits"):
        return values
    num_views = file.schema_arrow.field("log_odds").type.list_size
    return values.reshape(len(values), num_views, -1)
