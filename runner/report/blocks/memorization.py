"""Leakage and accuracy by memorization score: tables, what is said below them, and a figure."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from runner.report.blocks._block import Block
from runner.report.blocks._memorization_figure import memorization_figure, tpr_title
from runner.report.readings import INTERVAL, Figure
from runner.report.text import (
    DASH,
    Table,
    csv_of,
    headed,
    in_markdown,
    in_percent,
    percent,
    significant,
    titled,
)


def memorization_markdown(results: dict[str, Any]) -> str:
    """Return the tables, each with its notes; "" where nothing was measured."""
    parts = []
    for title, head, rows, notes in memorization_tables(results):
        sections = [f"## {in_markdown(title)}", headed(head, rows), *map(in_markdown, notes)]
        parts.append("\n\n".join(sections))
    if not parts:
        return ""
    title = titled(results, "leakage and accuracy by memorization")
    return "\n\n".join([title, *parts]) + "\n"


def memorization_tables(results: dict[str, Any]) -> list[Table]:
    """Return TPR, accuracy and its change, each by bin; none where nothing was measured."""
    found = results.get("memorization")
    if not found:
        return []
    title = f"{tpr_title(found)} (%)"
    changes = {name: arm["change"] for name, arm in found["arms"].items() if arm["change"]}
    change = {name: _column(one["accuracy"]) for name, one in changes.items()}
    for name, one in changes.items():
        overall = one["accuracy"]["overall"]
        change[f"{name}: its part of all"] = [overall, *one["accuracy_parts"]]
    tables = [
        _table(found, title, {name: _column(arm["tpr"]) for name, arm in found["arms"].items()}),
        _table(
            found,
            "Accuracy on non-members (%)",
            {name: _column(arm["accuracy"]) for name, arm in found["arms"].items()},
        ),
        _table(found, f"Change of accuracy against {found['reference']} (points)", change),
    ]
    shown = [table for table in tables if len(table.head) > 2]
    shown[-1].notes.extend(_notes(results))
    return shown


def bin_names(found: dict[str, Any]) -> list[str]:
    """Return the names of the bins: 0, then (0, 0.05] and so on."""
    ends = [f"{edge:.3g}" for edge in found["bins"]["edges"]]
    return ["0", *(f"({a}, {b}]" for a, b in pairwise(ends))]


def memorization_csv(results: dict[str, Any]) -> str:
    """Return every figure in full precision, one a line; "" where nothing was measured.

    Fractions, not percents. The bin is above `above` and up to `to`; both are empty for all
    examples together, and `above` for the bin of 0 and below. `change_of_` is an arm less the
    reference, and `part_of_change_of_accuracy` is a bin's part of that over all examples.
    """
    found = results.get("memorization")
    if not found:
        return ""
    return csv_of(("arm", "quantity", "above", "to", "num_examples", *INTERVAL), _lines(found))


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
    return str(in_percent(figure, found["num_targets"])) if figure else DASH


def _lines(found: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    """The lines of the CSV: a figure with its bin each."""
    bins = found["bins"]
    ends = [None, *bins["edges"]]
    places = [(None, None, sum(bins["counts"]))]
    places += zip(ends[:-1], bins["edges"], bins["counts"], strict=True)
    for name, arm in found["arms"].items():
        for quantity, figures in _every_column(arm):
            for place, figure in zip(places[-len(figures) :], figures, strict=True):
                if figure:
                    yield (name, quantity, *place, *(figure[key] for key in INTERVAL))


def _notes(results: dict[str, Any]) -> list[str]:
    """How it was measured, then a sentence for each arm that is compared."""
    found = results["memorization"]
    told = " ".join([_source(found), *_bins(found), _threshold(results, found)])
    return [told, *_losses(found)]


def _source(found: dict[str, Any]) -> str:
    """Whose scores they are."""
    source = found["source"]
    if source["arm"] is not None:
        text = (
            "Memorization: how much more often models are right about an example if they were "
            f"trained on it, of {source['num_models']} models of {source['arm']}; none of them is "
            "a target here."
        )
    else:
        compared = (
            "its labels are those of the pool"
            if source["labels_compared"]
            else "it has no labels, so that the order of its examples is taken on trust"
        )
        text = f"Memorization is read from {source['file']}; {compared}."
    if without := found["bins"]["num_not_judged"]:
        text += f" {without:,} examples have no score and are not judged."
    return text


def _bins(found: dict[str, Any]) -> Iterator[str]:
    """Why there are fewer bins than were asked for."""
    bins = found["bins"]
    yield "Scores of 0 and below have a bin of their own."
    if bins["used"] < bins["asked"]:
        error = significant(bins["median_standard_error"], 2)
        yield (
            f"There are {bins['used']} more and not {bins['asked']}, so that none is narrower "
            f"than {error}, the median standard error of the scores above 0."
        )


def _threshold(results: dict[str, Any], found: dict[str, Any]) -> str:
    """How a TPR and an accuracy come about."""
    noisy = any(results["arms"].get(name, {}).get("randomized") for name in found["arms"])
    zero = ", which is less than one" if found["at_zero_false_positives"] else ""
    return (
        f"Each of {found['num_targets']} targets has one threshold of {found['attack']} for all "
        f"bins, at {percent(found['false_positive_rate'])} of its {found['num_negatives']:,} "
        f"non-members{zero}. Accuracy is on the non-members of a bin. Intervals are of 95 %, over "
        f"targets.{' Randomized models answer by one draw.' if noisy else ''}"
    )


def _losses(found: dict[str, Any]) -> Iterator[str]:
    """Which bins an arm loses most accuracy in, if it loses any."""
    for name, arm in found["arms"].items():
        overall = (arm["change"] or {}).get("accuracy", {}).get("overall")
        if not overall or overall["mean"] >= 0:
            continue
        of_bins = zip(
            bin_names(found),
            arm["change"]["accuracy"]["by_bin"],
            arm["change"]["accuracy_parts"],
            found["bins"]["counts"],
            strict=True,
        )
        known = [(bin_, one, part, count) for bin_, one, part, count in of_bins if one and part]
        steepest = min(known, key=lambda row: row[1]["mean"])
        largest = min(known, key=lambda row: row[2]["mean"])
        share = percent(round(largest[3] / sum(found["bins"]["counts"]), 3))
        yield (
            f"{name} against {found['reference']}: {_points(overall, found)} points of accuracy on "
            f"all examples. The bin that has the largest part of it is {largest[0]}, with {share} "
            f"of the examples: {_points(largest[2], found)} points. Within a bin accuracy falls "
            f"most in {steepest[0]}: {_points(steepest[1], found)} points."
        )


def _points(figure: dict[str, Any], found: dict[str, Any]) -> str:
    return str(in_percent(figure, found["num_targets"]))


FIGURE = Block(
    "memorization",
    figure=memorization_figure,
    caption=lambda results: (
        "Leakage and accuracy of examples by how much they are memorized, with 95 % intervals."
    ),
)
TABLES = Block(
    "memorization",
    "Leakage and accuracy by memorization",
    markdown=memorization_markdown,
    csv=memorization_csv,
)
