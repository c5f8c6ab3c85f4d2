"""A CSV of numbers a model, and the member matrix beside them.

p_<i>.csv, with a header: label,p0,p1,...; members.csv, M lines of N
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
import pyarrow as pa
from pyarrow import csv

from runner.faults import BadAnswers
from runner.foreign.listing import in_order
from runner.foreign.reading import given_numbers, readable
from runner.foreign.trees.family import rows_of
from runner.foreign.trees.members import given_matrix, is_matrix, matrices, ways
from runner.foreign.trees.tree import Array, Tree, csv_numbers, has_header
from runner.foreign.trees.understood import Choice, Found, Options

LAYOUT: str = "csv"
WHAT: str = "a CSV of probabilities, logits or log-odds a model, and a member matrix"
LABELS = ("label", "labels", "y", "target", "class", "true_label")  # of a column, in any case


def recognise(tree: Tree, options: Options) -> list[Found]:
    """Return the tree by the largest set of CSVs that lie in one folder and have one header."""
    sets: dict[tuple[str, tuple[str, ...]], list[str]] = defaultdict(list)
    for place in (place for place in tree.tables if place.lower().endswith(".csv")):
        header = _header(tree.path(place))
        sets[str(PurePosixPath(place).parent), header].append(place)
    sets = {key: of for key, of in sets.items() if len(of) > 1 and _columns(key[1])}
    if not sets:
        return []
    (_, header), places = max(sets.items(), key=lambda item: len(item[1]))
    names = {PurePosixPath(place).stem: place for place in places}
    names = {name: names[name] for name in in_order(names)}
    others = [p for p in tree.tables if p not in places and p.lower().endswith(".csv")]
    for where, matrix in _matrices(tree, options, others, list(names)):
        first = _table(tree.path(places[0]), header)
        for member in ways(matrix):
            rows = rows_of(list(names), len(member))
            if rows is not None and member.shape[1] == first.num_rows:
                return [_found(tree, where, member[rows], names, header)]
    return []


def _matrices(
    tree: Tree, options: Options, others: Sequence[str], names: Sequence[str]
) -> list[tuple[str, np.ndarray]]:
    """Which matrices there are: given, as a CSV, or as an array."""
    if options.member:
        if not is_matrix(options.member):
            return []
        return [(options.member, given_matrix(options.member, names))]
    found = [(array.place, values) for array, values in matrices(tree)]
    for place in others:
        try:
            values = csv_numbers(tree.path(place))
        except BadAnswers:
            continue
        if np.isin(values, (-1, 0, 1)).all():
            found.append((place, values.astype(np.int8)))
    return found


def _found(
    tree: Tree, where: str, member: np.ndarray, names: dict[str, str], header: tuple[str, ...]
) -> Found:
    columns = _columns(header)
    arrays, labels = [], None
    for name, place in names.items():
        path = tree.path(place)
        shape = (member.shape[1], len(columns)) if len(columns) > 1 else (member.shape[1],)
        load = partial(_numbers, path, header, columns, shape)
        arrays.append(Array(f"{place}/{name}", shape, np.dtype(np.float64), path, load))
        own = _labels(path, header)
        if labels is not None and own is not None and not np.array_equal(labels, own):
            why = f"its labels are not those of {next(iter(names.values()))}"
            raise BadAnswers(str(path), why, "ask all models about the same examples in one order")
        labels = own if labels is None else labels
    told = str(PurePosixPath(next(iter(names.values()))).parent / "*.csv")
    lines = (f"members: {where}, of {len(names)} models: {', '.join([*names][:3])}, ...",)
    choice = Choice(told, {"models": arrays})
    return Found(LAYOUT, lines, member, tuple(names), [choice], labels=labels)


def _header(path: Path) -> tuple[str, ...]:
    """The names of the columns; of a file without a header, their places."""
    with readable(str(path)), path.open() as file:
        line = file.readline().strip()
    cells = [cell.strip().strip('"') for cell in line.split(",")]
    return tuple(cells) if has_header([line]) else tuple(f"c{i}" for i in range(len(cells)))


def _columns(header: Sequence[str]) -> list[str]:
    """The columns of numbers: those of most with one name and a number, else one that is left."""
    numbered: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for name in header:
        found = re.fullmatch(r"(.*?)(\d+)", name)
        if found:
            numbered[found[1]].append((int(found[2]), name))
    most = max(numbered.values(), key=len, default=[])
    if len(most) > 1:
        return [name for _, name in sorted(most)]
    known = ("log_odds", "logit", "p", "probability", "confidence", "phi", "score")
    return [name for name in header if name.lower() in known][:1]


def _table(path: Path, header: tuple[str, ...]) -> pa.Table:
    named = has_header(_first_line(path))
    options = csv.ReadOptions(column_names=list(header), skip_rows=1 if named else 0)
    with readable(str(path)):
        return csv.read_csv(path, read_options=options)


def _first_line(path: Path) -> list[str]:
    with readable(str(path)), path.open() as file:
        return [file.readline().strip()]


def _numbers(
    path: Path, header: tuple[str, ...], columns: Sequence[str], shape: tuple[int, ...]
) -> np.ndarray:
    """The numbers of a file, float64, as they are written."""
    table, told = _table(path, header), str(path)
    read = [given_numbers(table.column(c).combine_chunks(), c, told) for c in columns]
    values = np.stack([each.astype(np.float64) for each in read], axis=1).reshape(-1, *shape[1:])
    if values.shape != shape:
        why = f"it has {len(values)} rows, the member matrix {shape[0]} examples"
        raise BadAnswers(told, why, "every model answers all examples, in one order")
    return values


def _labels(path: Path, header: tuple[str, ...]) -> np.ndarray | None:
    name = next((name for name in header if name.lower() in LABELS), None)
    if name is None:
        return None
    column = _table(path, header).column(name).combine_chunks()
    return given_numbers(column, name, str(path)).astype(np.int64)
