"""Precision and recall of a calibrated attack against its threshold, one line a reading."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from runner.report import style
from runner.report.readings import (
    Reading,
    calibrated,
    ends,
    measured,
    membership,
    readings,
    share_of_members,
    thresholds,
)
from runner.report.shadows import with_shadows


def thresholds_figure(results: dict[str, Any]) -> Figure | None:
    """Return a row of two panels an attack, precision and recall, with their intervals.

    Source: Tao et al. (2024), https://arxiv.org/abs/2408.05723, figures 3 to 5 and 9 to 11.
    """
    attacks = calibrated(results)
    if not attacks:
        return None
    shown = [(attack, quantity) for attack in attacks for quantity in ("precision", "recall")]
    figure, panels = style.panels(len(shown), 2, width=4.0, height=3.2)
    for axes, (attack, quantity) in zip(panels, shown, strict=True):
        for reading in readings(results):
            _line(axes, reading, attack, quantity)
        axes.set_xticks([float(at) for at in thresholds(results, attack)])
        axes.set(xlabel="threshold", ylabel=f"{quantity} (%)")
        axes.set_title(style.plain(with_shadows(results, attack)))
        if quantity == "precision":
            guess = 100 * share_of_members(results)
            axes.axhline(guess, color=style.FAINT, linewidth=0.9, linestyle=style.DOTTED)
        else:
            axes.set_ylim(-4, 104)
    lines = {r.label: Line2D([], [], **_look(r)) for r in readings(results)}
    guess = Line2D([], [], color=style.FAINT, linewidth=0.9, linestyle=style.DOTTED)
    style.legend(figure, {**lines, "precision of a guess": guess})
    return figure


def _line(axes: Axes, reading: Reading, attack: str, quantity: str) -> None:
    """Draw one reading's values, in percent, where there are any."""
    decided = membership(reading.figures, attack).get("thresholds") or {}
    known = {float(at): one[quantity] for at, one in decided.items() if measured(one.get(quantity))}
    if known:
        at = sorted(known)
        mean, low, high = zip(*(ends(known[t]) for t in at), strict=True)
        style.errorbar(axes, at, (mean, low, high), **_look(reading))


def _look(reading: Reading) -> dict[str, Any]:
    mark = style.mark(reading.place, reading.averaged)
    return {**mark, "linestyle": style.line(reading.place), "markersize": 5, "linewidth": 1.4}
