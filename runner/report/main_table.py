"""The main table as the page has it: arms as rows, or attacks; its best cells marked."""

from typing import Any, NamedTuple

from runner.report.columns import Column, main_columns, path_of, rows
from runner.report.quantities import Quantity
from runner.report.readings import Figure, label, measured, readings
from runner.report.text import DASH, Printed

MOST_SHOWN = 14  # columns that a page begins with, unless all are wanted


class Cell(NamedTuple):
    """A figure of the table, what it is sorted by, and whether it is the best of its column."""

    printed: Printed
    value: float | None
    best: bool = False


class Head(NamedTuple):
    """A column: the group that it stands in, its own head, and whether the page begins with it."""

    group: str
    header: str
    key: str  # what switches it, with all columns of the same quantity
    begins: bool  # whether a group begins with it
    first: bool  # whether the page shows it before anybody asked
    membership: bool  # whether the table of attacks has it too


class Line(NamedTuple):
    """A row: an arm, or an attack."""

    name: str
    told: str  # over how many draws, or ""
    num_models: str
    cells: list[Cell]

    @property
    def label(self) -> str:
        return label(self.name, self.told)


class MainTable(NamedTuple):
    """One way to lay the figures out."""

    of: str  # what a row is
    groups: list[tuple[str, int, bool]]  # name, columns, whether it is an arm
    heads: list[Head]
    lines: list[Line]


def by_arms(results: dict[str, Any], shown: list[Column]) -> MainTable:
    """Return a row a reading of an arm; attacks stand beside each other."""
    best = best_cells(results, shown)
    lines = []
    for i, (row, reading) in enumerate(zip(rows(results, shown), readings(results), strict=True)):
        figures = [column.quantity.read(reading.figures, column.attack) for column in shown]
        cells = [
            _cell(figure, text, (i, j) in best)
            for j, (figure, text) in enumerate(zip(figures, row.cells, strict=True))
        ]
        lines.append(Line(row.arm, row.told, row.num_models, cells))
    heads = _heads([(column.group, column.quantity) for column in shown], _begin_with(shown))
    return MainTable("arm", [(*group, False) for group in _runs(heads)], heads, lines)


def by_attacks(results: dict[str, Any]) -> MainTable | None:
    """Return a row a membership attack; readings of arms stand beside each other.

    None where no attack on membership was made.
    """
    shown = [column for column in main_columns(results) if column.quantity.of == "membership"]
    if not shown:
        return None
    arms, best = rows(results, shown), best_cells(results, shown)
    kinds = list(dict.fromkeys(column.quantity for column in shown))
    known = readings(results)
    lines = []
    for group in dict.fromkeys(column.group for column in shown):
        place = {c.quantity: j for j, c in enumerate(shown) if c.group == group}
        cells = []
        for i, reading in enumerate(known):
            for kind in kinds:
                if (j := place.get(kind)) is None:
                    cells.append(Cell(Printed(DASH), None))
                    continue
                figure = kind.read(reading.figures, shown[j].attack)
                cells.append(_cell(figure, arms[i].cells[j], (i, j) in best))
        lines.append(Line(group, "", "", cells))
    groups = [reading.label for reading in known]
    pairs = [(group, kind) for group in groups for kind in kinds]
    first = _few(kinds) if len(pairs) > MOST_SHOWN else kinds
    heads = _heads(pairs, [kind in first for _, kind in pairs])
    return MainTable("attack", [(group, len(kinds), True) for group in groups], heads, lines)


def best_cells(results: dict[str, Any], shown: list[Column]) -> set[tuple[int, int]]:
    """Return (row, column) of each figure that `best` of results.json names.

    An arm is marked at the most draws of its noise, by which it was compared.
    """
    row = {reading.arm: i for i, reading in enumerate(readings(results))}  # its last
    arms = {one["measure"]: one["arm"] for one in results.get("best") or []}
    named = ((j, arms.get(path_of(results, column))) for j, column in enumerate(shown))
    return {(row[arm], j) for j, arm in named if arm}


def _cell(figure: Figure | None, text: Printed, best: bool) -> Cell:
    return Cell(text, figure["mean"] if measured(figure) else None, best)


def _begin_with(shown: list[Column]) -> list[bool]:
    """Whether the page begins with a column: with all, or with those of the first attack alone."""
    attacks = list(dict.fromkeys(c.attack for c in shown if c.quantity.of == "membership"))
    few = len(shown) > MOST_SHOWN
    return [
        not few or column.quantity.of != "membership" or column.attack == attacks[0]
        for column in shown
    ]


def _few(kinds: list[Quantity]) -> list[Quantity]:
    """One quantity of an attack where there is no room for all: the lowest rate above zero."""
    above_zero = [kind for kind in kinds if kind.by == "rate" and kind.at]
    return (above_zero or kinds)[:1]


def _heads(pairs: list[tuple[str, Quantity]], first: list[bool]) -> list[Head]:
    """The heads of columns, which are told by their group and their quantity."""
    found: list[Head] = []
    for (group, quantity), shown in zip(pairs, first, strict=True):
        begins = bool(group) and (not found or found[-1].group != group)
        of_attack = quantity.of == "membership"
        found.append(Head(group, quantity.header, quantity.header, begins, shown, of_attack))
    return found


def _runs(heads: list[Head]) -> list[tuple[str, int]]:
    """Group and number of columns of each run of columns of one group."""
    found: list[tuple[str, int]] = []
    for head in heads:
        if found and found[-1][0] == head.group:
            found[-1] = (head.group, found[-1][1] + 1)
        else:
            found.append((head.group, 1))
    return found
