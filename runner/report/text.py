"""Figures, tables and files as text. What was not measured prints as a dash."""

import csv
import io
import math
import re
from collections.abc import Iterable, Sequence
from decimal import ROUND_CEILING, Context, Decimal
from typing import Any, NamedTuple

from runner.report.readings import Figure, finite, measured

DASH = "–"
DAGGER = "†"  # beside a robust accuracy that is overstated


class Printed(NamedTuple):
    """A figure as text: `mean` and `interval`, and `models` where it is not the row's number."""

    mean: str
    interval: str = ""
    models: str = ""

    @property
    def overstated(self) -> bool:
        return self.mean.endswith(DAGGER)

    def __str__(self) -> str:
        return " ".join(part for part in self if part)


class Table(NamedTuple):
    """A table as text, and the sentences that stand below it."""

    title: str
    head: list[str]
    rows: list[list[str]]
    notes: list[str]


def printed(
    figure: Figure | None, scale: float, digits: int, num_models: int, overstated: bool = False
) -> Printed:
    """Return a figure as text; its number of models only where it is not `num_models`."""
    if not measured(figure):
        return Printed(DASH)
    mean, low, high = (_fixed(figure.get(key), scale, digits) for key in ("mean", "low", "high"))
    models = figure["num_models"]
    told = "" if models == num_models else f"({models} {'model' if models == 1 else 'models'})"
    return Printed(mean + (DAGGER if overstated else ""), f"[{low}, {high}]", told)


def in_percent(figure: Figure | None, num_models: int) -> Printed:
    """Return a share, or a difference of two, in percent or in points as all tables have it."""
    return printed(figure, 100, 1, num_models)


def significant(value: float | None, digits: int) -> str:
    """1159283.65 -> 1,159,000 with four digits; in powers of ten beyond 0.0001 to 10 million."""
    if value is None or math.isnan(value):
        return DASH
    if not finite(value):
        return "unbounded"
    scientific = f"{value:.{digits - 1}e}"
    if value == 0:
        return "0"
    if not 1e-4 <= abs(float(scientific)) <= 1e7:
        return scientific
    places = max(digits - 1 - int(scientific.partition("e")[2]), 0)
    return f"{float(scientific):,.{places}f}"


def bound(figure: Figure | None, digits: int = 3) -> Printed:
    """Return a figure, such as a lower bound of epsilon, in significant digits: 0.00360, 1.31."""
    if not measured(figure):
        return Printed(DASH)
    mean, low, high = (significant(figure.get(key), digits) for key in ("mean", "low", "high"))
    return Printed(mean, f"[{low}, {high}]")


def in_full(delta: float | None) -> str:
    """0.00001, never in powers of ten, and never rounded."""
    return DASH if delta is None else f"{Decimal(str(delta)).normalize():f}"


def percent(rate: float) -> str:
    """0.001 -> 0.1 %, never in powers of ten."""
    return f"{(100 * Decimal(f'{rate:.12g}')).normalize():f} %"


def at_most(bound: float) -> str:
    """Three digits, rounded up: what is printed of an upper bound is one too."""
    rounded = Context(prec=3, rounding=ROUND_CEILING).create_decimal_from_float(bound)
    return f"{rounded:.3g}"


def csv_of(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return rows of values under their heads as CSV, in full precision; None is an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return text.getvalue()


def titled(results: dict[str, Any], what: str) -> str:
    """Return the title that opens a Markdown file: whose results these are, and what of them."""
    return f"# {in_markdown(results.get('experiment') or results['sweep'])}: {what}"


def headed(head: list[str], rows: list[list[str]]) -> str:
    """Return a table of plain text under its heads; columns of numbers are set to the right."""
    lines = [[in_markdown(cell) for cell in line] for line in (head, *rows)]
    rules = ["---:" if all(map(_numeric, column)) else "---" for column in zip(*rows, strict=True)]
    return joined([lines[0], rules or ["---"] * len(head), *lines[1:]])


def joined(lines: list[list[str]]) -> str:
    """Return lines of cells, which are Markdown already, as the lines of a table."""
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def in_markdown(text: str) -> str:
    """Return a text with what would end a cell, or be read as HTML or emphasis, escaped."""
    text = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;")
    return re.sub(r"([\\|*`\[\]])", r"\\\1", text)


def _numeric(cell: str) -> bool:
    """Whether a cell is a number, with its interval or without, or a dash for want of one."""
    return cell == DASH or re.match(r"[<+-]? ?[0-9]", cell) is not None


def _fixed(value: float | None, scale: float, digits: int) -> str:
    """So many digits of a scaled number; zero has no sign."""
    if not finite(value):
        return DASH
    text = f"{scale * value:.{digits}f}"
    return text.lstrip("-") if float(text) == 0 else text
