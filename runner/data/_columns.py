"""Columns of tables: which files hold which split, and what classes, ids and groups they name."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from runner.data._doubts import shortened
from runner.data._own import Classes, check_groups, check_once, classes_of, named

if TYPE_CHECKING:  # who only reads the keys does not wait for it
    import pyarrow as pa

LABELS = ("label", "labels", "target", "class", "y")
TESTS = ("test", "val", "valid", "validation")


class Splits(NamedTuple):
    """The files of each split: no test where one is to be drawn."""

    train: list[Path]
    test: list[Path]
    remarks: list[str]


class Columns(NamedTuple):
    """Which columns say what an example is; None: the label's is guessed, and no other is there."""

    label: str | None
    id: str | None
    group: str | None


class Told(NamedTuple):
    """What the columns say: the classes, and ids of the training and of the test split."""

    classes: Classes
    train: dict[str, np.ndarray]
    test: dict[str, np.ndarray]


def splits_of(root: Path, endings: Sequence[str], kind: str) -> Splits:
    """Return the file at a path; or those in the folder, by the split that each one's name begins
    with or whose folder it is in, such as `data/train-00000-of-00002.parquet`.

    Raises:
        ValueError: there is none, or some are of no split.
    """
    if root.is_file():
        return Splits([root], [], [])
    files = sorted(f for f in root.rglob("*") if f.name.lower().endswith(tuple(endings)))
    files = [f for f in files if not f.name.startswith((".", "_"))]
    if not files:
        raise ValueError(f"no {kind} at '{root}': set data.root to a file, or a folder of them")
    by_split: dict[str, list[Path]] = {}
    for file in files:
        by_split.setdefault(_split_of(file.relative_to(root)), []).append(file)
    train = by_split.pop("train", [])
    if not train:
        if len(by_split) > 1 or "" not in by_split:
            names = shortened([f.name for f in files])
            raise ValueError(
                f"the files in '{root}' ({names}) name a split, and none is `train`: set data.root "
                "to the file to train on"
            )
        return Splits(by_split[""], [], [])
    if others := by_split.pop("", []):
        raise ValueError(
            f"'{others[0]}' is of no split, beside files that are of one; take it away, or let its "
            "name begin with train or test"
        )
    tests = [name for name in TESTS if name in by_split]
    unread = [f"{name} files" for name in tests[1:]]
    remarks = [f"{', '.join(unread)} beside those of {tests[0]} are not read"] if unread else []
    return Splits(train, by_split[tests[0]] if tests else [], remarks)


def _split_of(file: Path) -> str:
    """train, test, val ... as a file's name begins, or as a folder is called; "" of neither."""
    for part in (file.stem, *reversed(file.parts[:-1])):
        word = part.lower().replace("_", "-").split("-")[0].split(".")[0]
        if word in ("train", *TESTS):
            return word
    return ""


def label_of(said: str | None, there: Sequence[str], where: str) -> str:
    """Return the column of classes: the one that is said, else the only one that is called so.

    Raises:
        ValueError: none is said, and none or several are called so.
    """
    guessed = [name for name in LABELS if name in there]
    if said is None and len(guessed) != 1:
        raise ValueError(
            f"{where} has the columns {shortened(guessed or there)}: which of them is the class? "
            "Say it by data.label"
        )
    return said or guessed[0]


def told(columns: Columns, train: pa.Table, test: pa.Table | None, where: str) -> Told:
    """Return what the columns of both splits say.

    Raises:
        ValueError: a column is not there or is guessed in vain, or a value is missing or wrong.
    """
    label = label_of(columns.label, train.column_names, where)
    tables = [train] if test is None else [train, test]
    for key, name in {"label": label, "id": columns.id, "group": columns.group}.items():
        for table in tables:
            if name is not None and name not in table.column_names:
                raise ValueError(
                    f"data.{key}: {where} has no column {name!r}, but "
                    f"{shortened(table.column_names)}"
                )
    labels = [_plain(table, label, where) for table in tables]
    if any(of.dtype.kind == "U" for of in labels):
        labels = [of.astype(np.str_) for of in labels]
    classes = classes_of(labels[0], labels[1] if test else labels[0][:0], f"{where}, {label}")
    if (known := _class_names(train, label)) and labels[0].dtype.kind == "i":
        numbers = np.unique(labels[0])
        if numbers.min() >= 0 and numbers.max() < len(known):
            classes = classes._replace(names=tuple(known[k] for k in numbers.tolist()))
    ids = [_ids(columns, table, i, len(tables), where) for i, table in enumerate(tables)]
    if columns.group is not None:
        check_groups(ids[0]["group"], f"{where}, {columns.group}")
    return Told(
        classes,
        named(ids[0], classes.names, classes.train),
        named(ids[1], classes.names, classes.test) if test else {},
    )


def _ids(
    columns: Columns, table: pa.Table, split: int, num_splits: int, where: str
) -> dict[str, np.ndarray]:
    """What the examples of a split are called: by a column, else by their row."""
    found: dict[str, np.ndarray] = {"source_row": np.arange(table.num_rows)}
    if num_splits > 1:
        found["split"] = np.full(table.num_rows, ("train", "test")[split])
    if columns.id is not None:
        values = _plain(table, columns.id, where).astype(np.str_)
        check_once(values, f"{where}, {columns.id}")
        found = {"id": values}
    if columns.group is not None:
        found["group"] = _plain(table, columns.group, where).astype(np.str_)
    return found


def _plain(table: pa.Table, name: str, where: str) -> np.ndarray:
    """A column (N,) of whole numbers or text.

    Raises:
        ValueError: it is neither, or a value is missing.
    """
    import pyarrow as pa

    column = table.column(name)
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if column.null_count:
        row = column.is_null().to_pylist().index(True)
        raise ValueError(
            f"{where}: {column.null_count} values of {name} are missing, the first in row {row}; "
            "fill them, or leave these rows out"
        )
    values = column.to_pylist()
    if pa.types.is_floating(column.type) and all(v.is_integer() for v in values):
        values = [int(v) for v in values]
    if all(isinstance(v, bool | int) for v in values):
        return np.array(values, np.int64)
    if all(isinstance(v, str) for v in values):
        return np.char.strip(np.array(values, np.str_))
    raise ValueError(
        f"{where}: expected whole numbers or text in {name}, got {column.type}; name another column"
    )


def _class_names(table: pa.Table, label: str) -> Sequence[str]:
    """What Hugging Face's `datasets` wrote of the classes' names; none where it did not."""
    said = (table.schema.metadata or {}).get(b"huggingface", b"{}")
    try:
        names: Any = json.loads(said)["info"]["features"][label]["names"]
    except (ValueError, KeyError, TypeError):
        return ()
    return tuple(map(str, names)) if isinstance(names, list) else ()


def read_all(files: Sequence[Path], read: Callable[[Path], pa.Table]) -> pa.Table:
    """Return the rows of all files, one after the other.

    Raises:
        ValueError: one cannot be read, or has other columns.
    """
    import pyarrow as pa

    tables = []
    for file in files:
        try:
            tables.append(read(file))
        except (pa.ArrowException, OSError) as error:
            raise ValueError(f"cannot read '{file}': {error}") from error
        if tables[-1].column_names != tables[0].column_names:
            raise ValueError(f"'{file}' has other columns than '{files[0]}'")
    return pa.concat_tables(tables, promote_options="permissive")
