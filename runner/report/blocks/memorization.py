"""Leakage and accuracy by memorization score, as tables of text and as CSV."""

import csv
import io
from collections.abc import Iterator
from typing import Any

from runner.report.blocks.robustness import Table
from runner.report.memorization_notes import bin_names, memorization_notes
from runner.report.readings import INTERVAL, Figure
from runner.report.text import DASH, percent, printed, rate_title


def memorization_tables(results: dict[str, Any]) -> list[Table]:
    """Return TPR, accuracy and its change, each by bin; none where nothing was measured."""
    found = results.get("memorization")
    if not found:
        return []
    tpr = f"{tpr_title(found)} (%)"
    changes = {name: arm["change"] for name, arm in found["arms"].items() if arm["change"]}
    change = {name: _column(one["accuracy"]) for name, one in changes.items()}
    for name, one in changes.items():
        overall = one["accuracy"]["overall"]
        change[f"{name}: its part of all"] = [overall, *one["accuracy_parts"]]
    tables = [
        _table(found, tpr, {name: _column(arm["tpr"]) for name, arm in found["arms"].items()}),
        _table(
            found,
            "Accuracy on non-members (%)",
            {name: _column(arm["accuracy"]) for name, arm in found["arms"].items()},
        ),
        _table(found, f"Change of accuracy against {found['reference']} (points)", change),
    ]
    shown = [table for table in tables if len(table.head) > 2]
    shown[-1].notes.extend(memorization_notes(results))
    return shown


def tpr_title(found: dict[str, Any]) -> str:
    """Return what the TPR is read at: an FPR, or no false positive where that is below one."""
    rate = percent(found["false_positive_rate"])
    zero = f"{rate_title(0)} ({rate} is below one)"
    return zero if found["at_zero_false_positives"] else rate_title(found["false_positive_rate"])


def memorization_csv(results: dict[str, Any]) -> str:
    """Return every figure in full precision, one a line; "" where nothing was measured.

    Fractions, not percents. The bin is above `above` and up to `to`; both are empty for all
    examples together, and `above` for the bin of 0 and below. `change_of_` is an arm less the
    reference, and `part_of_change_of_accuracy` is a bin's part of that over all examples.
    """
    found = results.get("memorization")
    if not found:
        return ""
    text, bins = io.StringIO(), found["bins"]
    ends = [None, *bins["edges"]]
    places = [(None, None, sum(bins["counts"]))]
    places += zip(ends[:-1], bins["edges"], bins["counts"], strict=True)
    write = csv.writer(text, lineterminator="\n").writerow
    write(("arm", "quantity", "above", "to", "num_examples", *INTERVAL))
    for name, arm in found["arms"].items():
        for quantity, figures in _every_column(arm):
            for place, figure in zip(places[-len(figures) :], figures, strict=True):
                if figure:
                    write((name, quantity, *place, *(figure[key] for key in INTERVAL)))
    return text.getvalue()


def _every_column(arm: dict[str, Any]) -> Iterator[tuple[str, list[Figure | None]]]:
    """Each quantity of an arm, over all examples and by bin; parts are by bin alone."""
    change = arm["change"] or {}
    for prefix, known in (("", arm), ("change_of_", change)):
        for quantity, values in known.items():
            if isinstance(values, dict) and "by_bin" in values:
                yield prefix + quantity, _column(values)
    if change:
        yield "part_of_change_of_accuracy", change["accuracy_parts"]


def _column(values: dict[str, Any]) -> list[Figure | None]:
    return [values["overall"], *values["by_bin"]]


def _table(found: dict[str, Any], title: str, columns: dict[str, list[Figure | None]]) -> Table:
    """A row for all examples and one for each bin; a column an arm."""
    counts = found["bins"]["counts"]
    rows = [
        [name, f"{count:,}", *(_text(figure, found) for figure in figures)]
        for name, count, *figures in zip(
            ["all", *bin_names(found)], [sum(counts), *counts], *columns.values(), strict=True
        )
    ]
    return Table(title, ["memorization", "examples", *columns], rows, [])


def _text(figure: Figure | None, found: dict[str, Any]) -> str:
    return str(printed(figure, 100, 1, found["num_targets"])) if figure else DASH
