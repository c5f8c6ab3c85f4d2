"""Precision and recall of a calibrated attack at its thresholds: tables, and a line a reading."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from runner.report import style
from runner.report.blocks._block import Block, Files
from runner.report.columns import Column, groups, rows
from runner.report.html import rendered
from runner.report.quantities import QUANTITIES, Quantity
from runner.report.readings import (
    ArmFigures,
    calibrated,
    ends,
    hollow_marks,
    measured,
    readings,
    share_of_members,
    thresholds,
    with_shadows,
)
from runner.report.table import markdown_of
from runner.report.text import in_markdown, percent, titled

DECIDED = [quantity for quantity in QUANTITIES.values() if quantity.by == "threshold"]


def decisions_markdown(results: dict[str, Any]) -> str | None:
    """Return precision and recall at thresholds, a table an attack; None where there is none."""
    parts = [
        f"## {in_markdown(with_shadows(results, attack))}\n\n"
        f"{markdown_of(results, decision_columns(results, attack))}\n"
        for attack in calibrated(results)
    ]
    if not parts:
        return None
    title = titled(results, "decisions at thresholds")
    return "\n".join([f"{title}\n", *parts, f"{decisions_note(results)}\n"])


def decisions_note(results: dict[str, Any]) -> str:
    """Return what stands below precision and recall."""
    return (
        "p is the attack's probability of membership. Precision: the share of members among those "
        "it calls members. Recall: the share of members that it calls so. A guess has a precision "
        f"of {percent(round(share_of_members(results), 3))}, and a dash means that nobody was "
        "called a member."
    )


def decisions_html(results: dict[str, Any], files: Files) -> str:
    """Return a table an attack, with what its columns are."""
    found = {}
    for attack in calibrated(results):
        shown = decision_columns(results, attack)
        parts = (shown, groups(shown), rows(results, shown))
        found[with_shadows(results, attack)] = parts
    if not found:
        return ""
    return rendered("blocks/thresholds.html.j2", decisions=found, note=decisions_note(results))


def decision_columns(results: dict[str, Any], attack: str) -> list[Column]:
    """Return precision and recall at each threshold of a calibrated attack."""
    return [
        Column(f"p ≥ {at}", quantity._replace(at=at), attack)
        for at in thresholds(results, attack)
        for quantity in DECIDED
    ]


def thresholds_figure(results: dict[str, Any]) -> Figure | None:
    """Return a row of two panels an attack, precision and recall, with their intervals.

    Source: Tao et al. (2024), https://arxiv.org/abs/2408.05723, figures 3 to 5 and 9 to 11.
    """
    attacks = calibrated(results)
    if not attacks:
        return None
    shown = [(attack, quantity) for attack in attacks for quantity in DECIDED]
    figure, panels = style.panels(len(shown), 2, width=4.0, height=3.2)
    for axes, (attack, quantity) in zip(panels, shown, strict=True):
        for reading in readings(results):
            _line(axes, results, reading, attack, quantity)
        axes.set_xticks([float(at) for at in thresholds(results, attack)])
        axes.set(xlabel="threshold", ylabel=quantity.header)
        axes.set_title(style.plain(with_shadows(results, attack)))
        if quantity.key == "precision":
            guess = quantity.scale * share_of_members(results)
            axes.axhline(guess, **style.GUIDE)
        else:
            axes.set_ylim(-4, 104)
    lines = {
        r.label: Line2D([], [], **style.stroke(r.place, r.averaged)) for r in readings(results)
    }
    guess = Line2D([], [], **style.GUIDE)
    style.legend(figure, {**lines, "precision of a guess": guess})
    return figure


def _line(
    axes: Axes, results: dict[str, Any], reading: ArmFigures, attack: str, quantity: Quantity
) -> None:
    """Draw one reading's values, in percent, where there are any."""
    asked = {at: quantity._replace(at=at) for at in thresholds(results, attack)}
    read = {float(at): one.read(reading.figures, attack) for at, one in asked.items()}
    known = {at: figure for at, figure in read.items() if measured(figure)}
    if known:
        at = sorted(known)
        mean, low, high = zip(*(ends(known[t], quantity.scale) for t in at), strict=True)
        style.errorbar(axes, at, (mean, low, high), **style.stroke(reading.place, reading.averaged))


FIGURE = Block(
    "thresholds",
    figure=thresholds_figure,
    caption=lambda results: (
        "Precision and recall of an attack that calls an example a member from a threshold up, "
        f"with 95 % intervals.{hollow_marks(results)}"
    ),
)
TABLES = Block("decisions", markdown=decisions_markdown, html=decisions_html)
