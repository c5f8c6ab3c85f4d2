"""One long table: a row for each model and example, in any order; Parquet, CSV or Arrow.

    model, example, member, label, logits (a list, or columns logits0, logits1, ...)

It is read twice, a batch at a time: keys first, then numbers, which are put into their place in a
file without a name that is mapped into memory.
"""

import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv, ipc

from runner.faults import BadAnswers
from runner.foreign.listing import in_order
from runner.foreign.reading import given_numbers, readable
from runner.foreign.trees.tree import Tree, held
from runner.foreign.trees.understood import Choice, Found, Options

LAYOUT: str = "table"
WHAT: str = "one long table with a row for each model and example"
NAMES = {  # of columns, in any case
    "model": ("model", "model_id", "model_name", "run", "shadow", "shadow_model", "artifact_index"),
    "example": ("example", "example_id", "index", "idx", "id", "sample", "sample_index", "row"),
    "member": ("member", "is_member", "membership", "in", "in_train", "trained_on", "split"),
    "label": ("label", "labels", "y", "target", "class", "true_label"),
}
NUMBERS = ("logits", "logit", "probabilities", "probs", "prob", "p", "log_odds", "phi", "scores")
INSIDE = ("1", "true", "t", "yes", "in", "train", "training", "member", "members")
OUTSIDE = ("0", "false", "f", "no", "out", "test", "holdout", "non-member", "nonmember")
ONE_ROW = "write one row for each model and example"


class _Columns(NamedTuple):
    """Which column is what."""

    keys: tuple[tuple[str, str], ...]  # role and name
    numbers: tuple[str, ...]


class _Keys(NamedTuple):
    """What the rows are of, (R,) each."""

    models: list[str]  # M names
    model: np.ndarray
    examples: np.ndarray  # (N,) what they are called
    example: np.ndarray
    member: np.ndarray  # int8
    label: np.ndarray | None


def recognise(tree: Tree, options: Options) -> list[Found]:
    """Return the tree by the tables that have all the columns."""
    tables: dict[_Columns, list[Path]] = {}
    for place in tree.tables:
        path = tree.path(place)
        columns = _columns(_names(path))
        if columns is not None:
            tables.setdefault(columns, []).append(path)
    if len(tables) > 1:
        told = ", ".join(str(paths[0]) for paths in tables.values())
        raise BadAnswers(tree.told, f"several tables may be meant: {told}", "give one of them")
    return [_found(tree, columns, paths) for columns, paths in tables.items()]


def _columns(names: Sequence[str]) -> _Columns | None:
    """The columns of a table, if it has them: model, example and member, and numbers."""
    by_lower = {name.lower(): name for name in names}
    keys = []
    for role, known in NAMES.items():
        there = next((by_lower[name] for name in known if name in by_lower), None)
        if there is not None:
            keys.append((role, there))
        elif role != "label":
            return None
    for name in NUMBERS:
        if name in by_lower:
            return _Columns(tuple(keys), (by_lower[name],))
        found = ((re.fullmatch(rf"{name}_?(\d+)", lower), of) for lower, of in by_lower.items())
        numbered = sorted((int(match[1]), of) for match, of in found if match)
        if len(numbered) > 1:
            return _Columns(tuple(keys), tuple(of for _, of in numbered))
    return None


def _found(tree: Tree, columns: _Columns, paths: Sequence[Path]) -> Found:
    told = str(paths[0])
    keys = _keys(columns, paths, told)
    num_models, num_examples = len(keys.models), len(keys.examples)
    cell = keys.model * num_examples + keys.example
    often = np.bincount(cell, minlength=num_models * num_examples)
    if (often > 1).any():
        m, n = divmod(int((often > 1).argmax()), num_examples)
        why = f"model {keys.models[m]} answers example {keys.examples[n]} {often.max()} times"
        raise BadAnswers(told, why, ONE_ROW)
    there = (often.reshape(num_models, num_examples) == 1).all(axis=0)
    if 2 * there.sum() < num_examples:
        why = f"only {there.sum()} of {num_examples} examples are answered by all models"
        raise BadAnswers(told, why, ONE_ROW)
    member = np.full(num_models * num_examples, -1, np.int8)
    member[cell] = keys.member
    member = member.reshape(num_models, num_examples)[:, there]
    labels = None if keys.label is None else _labels(keys, num_examples, told)[there]
    values = _placed(columns, paths, cell, (num_models, num_examples))
    names = keys.examples[there]
    kept = np.flatnonzero(there)
    whole = None if there.all() else kept
    place = paths[0].name
    arrays = [held(f"{place}/{m}", paths[0], of) for m, of in zip(keys.models, values, strict=True)]
    lines = [f"members: column {dict(columns.keys)['member']} of {num_models} models"]
    if whole is not None:
        lines.append(f"left out: {num_examples - len(kept)} examples that a model does not answer")
    choice = Choice(
        f"{paths[0].name}, {', '.join(columns.numbers[:2])}",
        {"models": arrays},
        rows=None if whole is None else [whole] * num_models,
    )
    ids = {} if np.array_equal(names, np.arange(len(names))) else {"id": names}
    stamp = [(path.stat().st_size, path.stat().st_mtime_ns) for path in paths]
    of = tuple(keys.models)
    return Found(
        LAYOUT, tuple(lines), member, of, [choice], labels=labels, ids=ids, stamp=str(stamp)
    )


def _keys(columns: _Columns, paths: Sequence[Path], told: str) -> _Keys:
    names = [name for _, name in columns.keys]
    parts = [batch for path in paths for batch in _batches(path, names)]
    if not parts:
        raise BadAnswers(told, "it has no rows", ONE_ROW)
    of_role = {}
    for role, name in columns.keys:
        of_role[role] = np.concatenate([_plain(part.column(name), name, told) for part in parts])
    models, model = np.unique(of_role["model"].astype(str), return_inverse=True)
    order = in_order(models.tolist())
    place = {name: m for m, name in enumerate(order)}
    model = np.array([place[name] for name in models.tolist()])[model]
    examples, example = np.unique(of_role["example"], return_inverse=True)
    member = _member(of_role["member"], told)
    return _Keys(order, model, examples, example, member, of_role.get("label"))


def _plain(column: pa.Array, name: str, told: str) -> np.ndarray:
    """A column of keys as numbers or text."""
    if column.null_count:
        raise BadAnswers(told, f"{column.null_count} values of {name} are missing", ONE_ROW)
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return np.array(column.to_pylist(), dtype=str)
    return column.to_numpy(zero_copy_only=False)


def _member(values: np.ndarray, told: str) -> np.ndarray:
    if values.dtype.kind == "U":
        lower = np.char.lower(np.char.strip(values))
        inside, outside = np.isin(lower, INSIDE), np.isin(lower, OUTSIDE)
    else:
        inside, outside = values == 1, values == 0
    known = inside | outside | (np.asarray(values == -1) if values.dtype.kind != "U" else False)
    if not known.all():
        strange = values[~known][0]
        raise BadAnswers(told, f"members are 1 or 0, not {strange!r}", "write true or false")
    return np.where(inside, 1, np.where(outside, 0, -1)).astype(np.int8)


def _labels(keys: _Keys, num_examples: int, told: str) -> np.ndarray:
    assert keys.label is not None
    if keys.label.dtype.kind not in "iu":
        why = f"labels are {keys.label.dtype}, not whole numbers"
        raise BadAnswers(told, why, "number the classes 0 to C - 1, as the logits' columns are")
    labels = np.zeros(num_examples, np.int64)
    labels[keys.example] = keys.label
    strange = np.flatnonzero(labels[keys.example] != keys.label)
    if len(strange):
        name = keys.examples[keys.example[strange[0]]]
        raise BadAnswers(told, f"example {name} has several labels", "an example has one label")
    return labels


def _placed(
    columns: _Columns, paths: Sequence[Path], cell: np.ndarray, shape: tuple[int, int]
) -> np.ndarray:
    """The numbers (M, N, ...) in a file without a name, a batch at a time."""
    values, first = None, 0
    for path in paths:
        for batch in _batches(path, columns.numbers):
            read = [given_numbers(batch.column(c), c, str(path)) for c in columns.numbers]
            some = read[0] if len(read) == 1 else np.stack(read, axis=1)
            if not np.issubdtype(some.dtype, np.floating):
                some = some.astype(np.float64)
            if values is None:
                kind = np.float64 if some.dtype == np.float64 else np.float32
                whole = (shape[0] * shape[1], *some.shape[1:])
                with tempfile.TemporaryFile() as file:  # the map keeps it
                    values = np.memmap(file, kind, "w+", shape=whole)
            if some.shape[1:] != values.shape[1:]:
                why = f"rows of {some.shape[1:]} numbers beside {values.shape[1:]}"
                raise BadAnswers(str(path), why, "write as many everywhere")
            values[cell[first : first + len(some)]] = some
            first += len(some)
    assert values is not None
    return values.reshape(*shape, *values.shape[1:])


def _names(path: Path) -> list[str]:
    with readable(str(path)):
        ending = path.suffix.lower()
        if ending == ".parquet":
            return pq.read_schema(path).names
        if ending == ".csv":
            return csv.open_csv(path).schema.names
        return _arrow(path).schema.names


def _batches(path: Path, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Batches of some columns of a table."""
    wanted = list(columns)
    with readable(str(path)):
        ending = path.suffix.lower()
        if ending == ".parquet":
            yield from pq.ParquetFile(path).iter_batches(columns=wanted)
        elif ending == ".csv":
            for batch in csv.open_csv(path):
                yield batch.select(wanted)
        else:
            reader = _arrow(path)
            if isinstance(reader, ipc.RecordBatchFileReader):
                for number in range(reader.num_record_batches):
                    yield reader.get_batch(number).select(wanted)
            else:
                for batch in reader:
                    yield batch.select(wanted)


def _arrow(path: Path) -> ipc.RecordBatchFileReader | ipc.RecordBatchStreamReader:
    """An Arrow file, with an index of its batches or a stream of them, mapped into memory."""
    source = pa.memory_map(str(path))
    try:
        return ipc.open_file(source)
    except pa.ArrowInvalid:
        source.seek(0)
        return ipc.open_stream(source)
