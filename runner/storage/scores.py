"""Scores of membership attacks as Parquet, in folders that say whose; and the member matrix."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from urllib.parse import quote

import numpy as np
import pyarrow as pa

from runner.storage.cloud import Folder
from runner.storage.parquet import EXAMPLE, numbers, opened, to_bytes
from runner.storage.store import Corrupt

# Folders of the scores, outermost first. Attacks that judge a target at a time have one more.
PARTITIONS = ["arm", "draws", "attack", "matrix"]
OF_TARGETS = [*PARTITIONS, "model"]
BY_BLOCKS, BY_TARGETS = "blocks", "targets"  # folders of the two kinds of attacks


def members_to_bytes(member: np.ndarray) -> bytes:
    """Return member.parquet: the (M, N) int8 member matrix, one column per model."""
    columns = {_model(m): pa.array(row) for m, row in enumerate(member.astype(np.int8))}
    fields = [pa.field(name, pa.int8(), nullable=False) for name in columns]
    return to_bytes(pa.table(list(columns.values()), schema=pa.schema(fields)))


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
    columns = {_model(m): pa.array(row) for m, row in enumerate(as_stored(scores))}
    return _rows(reading._asdict(), examples, columns)


def as_stored(scores: np.ndarray) -> np.ndarray:
    """Return scores as float32; what it cannot hold is infinite, and ranks as before."""
    with np.errstate(over="ignore"):
        return scores.astype(np.float32, copy=False)


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
    path, names = folders_of(reading._asdict()), [_model(model) for model in models]
    of_targets = [folder / BY_TARGETS / path / f"model={name}" for name in names]
    if of_targets[0].is_dir():
        return np.stack([_read_scores(folder, part, ["score"])[0] for part in of_targets])
    return _read_scores(folder, folder / BY_BLOCKS / path, names)


def place_of(table: pa.Table, partitions: Sequence[str]) -> str:
    """Return the folders that rows of one partition lie in, outermost first."""
    return folders_of({name: table.column(name)[0].as_py() for name in partitions})


def folders_of(places: Mapping[str, object]) -> str:
    """Return folders with names and values; percent-encoded, for YAML may hold any name."""
    return "/".join(f"{key}={quote(str(value), safe='')}" for key, value in places.items())


def _read_scores(folder: Folder, part: Folder, columns: Sequence[str]) -> np.ndarray:
    """Columns of all files in a part of a folder of scores, (K, N), each by example.

    The audit writes as many examples into each file as into the first, but for the last one. Only
    where they are more is every file opened twice, to count them: a footer names all models.
    """
    kinds = EXAMPLE | dict.fromkeys(columns, pa.float32())
    files = sorted(str(path) for path in part.glob("*.parquet"))
    try:
        most = _num_rows(files[0], kinds) * len(files) if files else 0
        scores = _by_example(files, kinds, most)
        if scores is None:
            scores = _by_example(files, kinds, sum(_num_rows(path, kinds) for path in files))
    except Corrupt as corrupt:
        raise Corrupt(str(folder), str(corrupt)) from corrupt
    if scores is None:
        raise Corrupt(str(folder), f"examples in {part} are missing, or are there twice")
    if not scores.shape[1]:
        raise FileNotFoundError(f"no scores in {part}; run the audit first")
    return scores


def _num_rows(path: str, kinds: Mapping[str, pa.DataType]) -> int:
    with opened(path, kinds) as file:
        return file.metadata.num_rows


def _by_example(
    files: Sequence[str], kinds: Mapping[str, pa.DataType], most: int
) -> np.ndarray | None:
    """The columns but the first, which has examples, (K, N); None where these are not 0 to N - 1.

    Each file is copied before the next one is read: all tables at once would be as much again.

    Args:
        most: N is no more than that.
    """
    _, *columns = kinds
    scores, times = np.empty((len(columns), most), np.float32), np.zeros(most, np.int8)
    number = 0
    for path in files:
        with opened(path, kinds) as file:
            table = file.read(columns=[*kinds], use_threads=False)
        if not _copied(table, columns, scores, times):
            return None
        number += table.num_rows
    return scores[:, :number] if np.all(times[:number] == 1) else None


def _copied(table: pa.Table, columns: Sequence[str], scores: np.ndarray, times: np.ndarray) -> bool:
    """Whether there is room for a file's examples, after its columns and their number went there.

    Args:
        scores: (K, N), and
        times: (N,), how often each example has come; both are written to.
    """
    examples = numbers(table, "example")
    if not len(examples):
        return True
    low, high = int(examples.min()), int(examples.max()) + 1
    if low < 0 or high > len(times):
        return False
    at: np.ndarray | slice = examples
    if np.array_equal(examples, np.arange(low, high)):
        at = slice(low, high)  # as the audit writes a block; it takes a tenth of the time
    times[at] += 1
    for row, column in zip(scores, columns, strict=True):
        row[at] = numbers(table, column)
    return True


def _rows(
    places: Mapping[str, object], examples: np.ndarray, columns: Mapping[str, pa.Array]
) -> pa.Table:
    """Rows of scores with the names of the folders that they belong to, the same in each."""
    first = pa.array(np.zeros(len(examples), np.int8))
    named = {name: pa.array([str(value)]).take(first) for name, value in places.items()}
    return pa.table({**named, "example": pa.array(examples), **columns})


def _model(number: int) -> str:
    return f"m{number:03d}"
