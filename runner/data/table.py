"""Your own tables of numbers and categories, from CSV or Parquet files."""

from __future__ import annotations

import re
from csv import reader as csv_reader
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple

import numpy as np
from pydantic import Field, field_validator

from runner.data import Augment, Data, Dataset
from runner.data._columns import Columns, label_of, read_all, splits_of, told
from runner.data._doubts import shortened
from runner.data._split import Own, Seen, Split, assemble, halve

if TYPE_CHECKING:  # who only reads the keys does not wait for it
    import pyarrow as pa

MOST_VALUES = 1000  # of a category; a column of more is most likely an id
INDEX = re.compile(r"|Unnamed: 0|__index_level_\d+__")  # as pandas writes numbers of rows
ENDINGS = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".parquet", ".pq")


class Table(Data):
    """`root` is a file, or a folder of files whose names begin with train and test.

    `{name: table, root: patients.csv, label: diagnosis, id: record, group: hospital}`. Every other
    column is what a model is shown: numbers, of which the pool's mean is subtracted and by whose
    standard deviation they are divided (those of 0 and 1 alone stay so), and text, of which each
    value that the pool has becomes a column of 0 and 1. A row is an image of 1 x 1 pixels, its
    columns are the channels, and each lies in [0, 1] from its least to its greatest value, so that
    an attack's eps is a share of that range. It is meant for `model: mlp`.
    """

    tabular: ClassVar[bool] = True

    name: Literal["table"] = "table"
    label: str | None = None  # None: label, labels, target, class or y
    id: str | None = None  # None: examples are called by their row
    group: str | None = None
    ignore: tuple[str, ...] = ()  # columns that no model is shown
    categories: tuple[str, ...] = ()  # columns of numbers that are names, such as a postcode
    header: bool = True  # False: a CSV's columns are called 0, 1, ...
    test_fraction: Annotated[float, Field(ge=0, lt=1)] = 0.2  # drawn where there is no test split

    @field_validator("augment")
    @classmethod
    def _nothing_to_move(cls, augment: Augment) -> Augment:
        if augment != Augment():
            raise ValueError("a row of a table has no pixels to move; leave it out")
        return augment

    def load(self) -> Dataset:
        files, where = splits_of(self.root, ENDINGS, "CSV or Parquet file"), f"'{self.root}'"
        train = read_all(files.train, self._read)
        test = read_all(files.test, self._read) if files.test else None
        said = told(Columns(self.label, self.id, self.group), train, test, where)
        features = self._features(train, where)
        if test is not None and (lacking := [f for f in features if f not in test.column_names]):
            raise ValueError(f"{where}: the test split has no column {shortened(lacking)}")
        tables = [train] if test is None else [train, test]
        columns = [self._column(tables, name, where) for name in features]
        at = np.arange(sum(table.num_rows for table in tables))
        parts = [Split(at[: train.num_rows], said.classes.train, said.train)]
        if test is None:
            num_test = round(self.test_fraction * train.num_rows)
            parts = halve(parts[0], num_test, self.group is not None)
        else:
            parts.append(Split(at[train.num_rows :], said.classes.test, said.test))
        own = Own(said.classes.names, self.group is not None, partial(_seen, columns))
        return assemble(
            self, parts[0], parts[1], said.classes.number, remarks=files.remarks, own=own
        )

    def _read(self, file: Path) -> pa.Table:
        if file.name.lower().endswith((".parquet", ".pq")):
            import pyarrow.parquet as pq

            return pq.read_table(file)
        return self._read_text(file)

    def _read_text(self, file: Path) -> pa.Table:
        """The rows of a CSV; what names an example or its class is read as text, 007 as 007."""
        import pyarrow as pa
        from pyarrow import csv

        with pa.input_stream(str(file), compression="detect") as stream:
            first = stream.read(1 << 20).split(b"\n", 1)[0].decode("utf-8", "replace").rstrip("\r")
        if not first.strip():
            raise ValueError(f"the first line of '{file}' is empty: it has no names of columns")
        mark = max(",;\t", key=first.count)
        names = next(csv_reader([first.lstrip("\ufeff")], delimiter=mark), [])
        names = [name.strip() for name in names]
        if not self.header:
            names = [str(i) for i in range(len(names))]
        elif all(_is_number(name) for name in names):
            raise ValueError(
                f"the first line of '{file}' has numbers ({shortened(names)}), and no names of "
                "columns: set data.header: false, and call columns 0, 1, ..."
            )
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"'{file}' has the column {sorted(twice)[0]!r} more than once")
        label = label_of(self.label, names, f"'{file}'")
        as_text = {*self.categories, *filter(None, (label, self.id, self.group))}
        table = csv.read_csv(
            file,
            read_options=csv.ReadOptions(column_names=names, skip_rows=int(self.header)),
            parse_options=csv.ParseOptions(delimiter=mark),
            convert_options=csv.ConvertOptions(
                column_types={name: pa.string() for name in as_text if name in names},
                strings_can_be_null=True,
                null_values=["", "NA", "N/A", "NaN", "nan", "null", "NULL"],
            ),
        )
        return _numbered(table, label)

    def _features(self, train: pa.Table, where: str) -> list[str]:
        """The columns that a model is shown."""
        there = train.column_names
        for key in ("ignore", "categories"):
            if strange := [name for name in getattr(self, key) if name not in there]:
                raise ValueError(
                    f"data.{key}: {where} has no column {strange[0]!r}, but {shortened(there)}"
                )
        label = label_of(self.label, there, where)
        left_out = {label, self.id, self.group, *self.ignore}
        shown = [name for name in there if not INDEX.fullmatch(name)]
        if not (found := [name for name in shown if name not in left_out]):
            raise ValueError(f"{where} has no column beside {label} that a model could be shown")
        return found

    def _column(self, tables: list[pa.Table], name: str, where: str) -> _Column:
        """The values of one column of all splits, one split after the other."""
        import pyarrow as pa

        types = {table.schema.field(name).type for table in tables}
        parts = [table.column(name) for table in tables]
        if name not in self.categories and all(_is_numeric(of) for of in types):
            values = np.concatenate([_numbers(part) for part in parts])
            if (bad := ~np.isfinite(values)).any():
                raise ValueError(
                    f"{where}: {int(bad.sum())} values of {name} are missing or infinite, the "
                    f"first in row {int(bad.argmax())}; fill them, leave those rows out, or the "
                    "column by data.ignore"
                )
            return _Column(name, values, False)
        texts = []
        for part in parts:
            of = part.type.value_type if pa.types.is_dictionary(part.type) else part.type
            if not (pa.types.is_string(of) or pa.types.is_large_string(of) or _is_numeric(of)):
                if pa.types.is_binary(of):
                    raise ValueError(
                        f"{where}: {name} has text that is not UTF-8; write it anew so"
                    )
                raise ValueError(
                    f"{where}: {name} is {part.type}, and a model is shown numbers and text; make "
                    "it one of these, or leave it out by data.ignore"
                )
            texts += part.cast(of).cast(pa.string()).fill_null("").to_pylist()
        return _Column(name, np.char.strip(np.array(texts, np.str_)), True)


class _Column(NamedTuple):
    """A column's values (N,): float64, or text of which each value is a category."""

    name: str
    values: np.ndarray
    is_text: bool


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _is_numeric(of: Any) -> bool:
    import pyarrow as pa

    kinds = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_decimal)
    return any(is_it(of) for is_it in kinds) or pa.types.is_null(of)


def _numbers(column: pa.ChunkedArray) -> np.ndarray:
    """A column as (N,) float64, NaN where a value is missing."""
    import pyarrow as pa

    if pa.types.is_null(column.type):
        return np.full(len(column), np.nan)
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    return column.cast(pa.float64()).to_numpy()


def _numbered(table: pa.Table, label: str) -> pa.Table:
    """The same with labels as numbers where all of them are whole ones: 2 comes before 10."""
    import pyarrow as pa

    if label not in table.column_names:
        return table
    try:
        labels = table.column(label).cast(pa.int64())
    except pa.ArrowInvalid:
        return table
    return table.set_column(table.column_names.index(label), label, labels)


def _seen(columns: list[_Column], pool: np.ndarray, test: np.ndarray) -> Seen:
    """Some rows as floats in [0, 1], and by what they are standardised.

    A column's range is that of all rows. It is no secret of the test split's: whatever it is, what
    a network sees is (x - mean) / std, of the pool.

    Raises:
        ValueError: a column has too many categories.
    """
    rows, blocks, mean, std = np.append(pool, test), [], [], []
    unknown = np.zeros(len(rows), bool)
    for name, values, is_text in columns:
        some = values[rows]
        if is_text:
            known = np.unique(some[: len(pool)])
            if len(known) > MOST_VALUES:
                raise ValueError(
                    f"{name} has {len(known):,} values, which would be a column each: if it is an "
                    "id, say `data.id`; else leave it out by data.ignore, or make the values fewer"
                )
            block = (some[:, None] == known).astype(np.float32)
            unknown |= ~block.any(1)
        else:
            low, high = some.min(), some.max()
            span = high - low if high > low else 1.0
            block = ((some - low) / span).astype(np.float32)[:, None]
        blocks.append(block)
        plain = is_text or np.isin(some, (0, 1)).all()
        of_pool = block[: len(pool)].astype(np.float64)
        spread = np.where((s := of_pool.std(0)) > 0, s, 1.0)
        mean += ([0.0] * block.shape[1]) if plain else of_pool.mean(0).tolist()
        std += ([1.0] * block.shape[1]) if plain else spread.tolist()
    whole = np.concatenate(blocks, axis=1)[:, :, None, None]
    num_text = sum(column.is_text for column in columns)
    remarks = [
        f"a table of {len(columns) - num_text} columns of numbers and {num_text} of categories: "
        f"{whole.shape[1]} inputs"
    ]
    if unknown.any():
        remarks.append(
            f"{int(unknown.sum()):,} rows of the test split have a category that the pool lacks, "
            "which is shown to no model"
        )
    return Seen(whole[: len(pool)], whole[len(pool) :], (tuple(mean), tuple(std)), remarks)
