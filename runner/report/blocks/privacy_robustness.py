"""Privacy against robustness: a point a reading of an arm, with both error bars."""

from collections.abc import Callable
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D

from runner.report import columns, labels, style
from runner.report.readings import (
    Figure,
    Figures,
    Reading,
    auc_of,
    calibrated,
    ends,
    measured,
    readings,
    robust_accuracy_of,
)
from runner.report.shadows import with_shadows
from runner.report.text import DAGGER, rate_title

SHOWN_RATE = 0.001  # the FPR at which the papers compare; else the smallest that was resolved
Points = list[tuple[Reading, labels.Point]]


class Found(NamedTuple):
    """What a membership attack finds, as a panel reads it."""

    label: str
    read: Callable[[Figures], Figure | None]
    scale: float  # 100 where it is drawn in percent
    guess: float  # what a guess finds, as drawn
    least: float  # what the axis begins with, unless points lie below


def privacy_robustness_figure(results: dict[str, Any]) -> Drawing | None:
    """Return a grid of panels: a column a robustness attack, a row a membership attack.

    With one robustness attack or none, panels stand two across; with none, privacy is drawn against
    natural accuracy. Privacy is the TPR at a small FPR, but the AUC of an attack whose scores are
    probabilities: it is trained to be right on average, and at a small FPR may find fewer members
    of a plain model than of a private one. A point is hollow where answers are averaged over
    several draws.
    """
    across = list(results["attacks"].get("robustness", {})) or [None]
    down = list(results["attacks"].get("membership", {}))
    found = [
        (what, r, _points(results, what, r))
        for m in down
        for what in _found(results, m)
        for r in across
    ]
    if not any(points for *_, points in found):
        return None
    num_across = len(across) if len(across) > 1 else min(len(found), 2)
    figure, panels = style.panels(len(found), num_across, width=4.6, height=3.8)
    for axes, (what, robustness, points) in zip(panels, found, strict=True):
        _panel(axes, points, what)
        x = f"robust accuracy under {robustness}" if robustness else "natural accuracy"
        over = any(robustness in reading.overstated for reading, _ in points)
        axes.set_xlabel(style.plain(f"{x} (%){f'; {DAGGER} overstated' if over else ''}"))
        axes.set_ylabel(style.plain(what.label))
        axes.set_title("lower right is better", loc="right", fontsize=8)
    points = {a: [p for _, p in one[-1]] for a, one in zip(panels, found, strict=True)}
    if not labels.place(figure, points):
        marks = {
            r.label: Line2D([], [], linewidth=0, **style.mark(r.place, r.averaged))
            for r in readings(results)
        }
        style.legend(figure, marks)
    return figure


def _panel(axes: Axes, points: Points, what: Found) -> None:
    """Draw the points, and leave room for their names."""
    for reading, p in points:
        axes.errorbar(
            p.x,
            p.y,
            xerr=[[p.x - p.left], [p.right - p.x]],
            yerr=[[p.y - p.bottom], [p.top - p.y]],
            **style.mark(reading.place, reading.averaged),
            markersize=6,
            elinewidth=1,
        )
    left = min((p.left for _, p in points), default=0.0)
    right = max((p.right for _, p in points), default=100.0)
    low = min([what.least, *(p.bottom for _, p in points)])
    top = max([what.guess, low + what.scale / 1000, *(p.top for _, p in points)])
    margin = max(0.18 * (right - left), 0.5)
    axes.set_xlim(max(left - margin, -2), min(right + margin, 102))
    high = min(top + 0.12 * (top - low), 1.04 * what.scale)
    axes.set_ylim(low - 0.04 * (top - low), high)
    if what.guess:
        axes.axhline(what.guess, color=style.FAINT, linewidth=0.9, linestyle=style.DOTTED)
        edge = axes.get_yaxis_transform()
        axes.text(1.01, what.guess, "chance", fontsize=7, va="center", transform=edge)


def _found(results: dict[str, Any], attack: str) -> list[Found]:
    """How an attack is drawn: in one way, or in none if it was never read."""
    if attack in calibrated(results):
        name = with_shadows(results, attack)
        return [Found(f"{name}: AUC", auc_of(attack), 1, guess=0.5, least=0.5)]
    rates = columns.rates(results, attack)
    if not rates:
        return []
    resolved = [at for at in rates if at > 0]
    at = SHOWN_RATE if SHOWN_RATE in rates else (resolved or rates)[0]
    label = f"{attack}: {rate_title(at)} (%)"
    return [Found(label, columns.tpr_at(attack, at), 100, guess=100 * at, least=0)]


def _points(results: dict[str, Any], what: Found, robustness: str | None) -> Points:
    """A panel's points; readings without both quantities are left out."""
    found = []
    for reading in readings(results):
        figures = reading.figures
        x = (
            robust_accuracy_of(robustness)(figures)
            if robustness
            else figures.get("natural_accuracy")
        )
        y = what.read(figures)
        if measured(x) and measured(y):
            over = f" {DAGGER}" if robustness in reading.overstated else ""
            color = style.color(reading.place)
            found.append(
                (reading, labels.Point(reading.label + over, color, *ends(x), *ends(y, what.scale)))
            )
    return found
