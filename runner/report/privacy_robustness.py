"""Privacy against robustness: a point a reading of an arm, with both error bars."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from runner.report import columns, labels, style
from runner.report.as_text import DAGGER, rate_title
from runner.report.readings import Reading, ends, measured, readings

SHOWN_RATE = 0.001  # the FPR at which the papers compare; else the smallest that was resolved
Points = list[tuple[Reading, labels.Point]]


def privacy_robustness_figure(results: dict[str, Any]) -> Figure | None:
    """Return a grid of panels: a column a robustness attack, a row a membership attack.

    Without a robustness attack, privacy is drawn against natural accuracy. A point is hollow where
    answers are averaged over several draws.
    """
    across = list(results["attacks"].get("robustness", {})) or [None]
    down = list(results["attacks"].get("membership", {}))
    found = [
        (m, r, at, _points(results, m, at, r))
        for m in down
        for at in _rate(results, m)
        for r in across
    ]
    if not any(points for *_, points in found):
        return None
    figure, panels = style.panels(len(found), len(across), width=4.6, height=3.8)
    for axes, (membership, robustness, at, points) in zip(panels, found, strict=True):
        _panel(axes, points, at)
        x = f"robust accuracy under {robustness}" if robustness else "natural accuracy"
        over = any(robustness in reading.overstated for reading, _ in points)
        axes.set_xlabel(style.plain(f"{x} (%){f'; {DAGGER} overstated' if over else ''}"))
        axes.set_ylabel(style.plain(f"{membership}: {rate_title(at)} (%)"))
        axes.set_title("lower right is better", loc="right", fontsize=8)
    points = {a: [p for _, p in one[-1]] for a, one in zip(panels, found, strict=True)}
    if not labels.place(figure, points):
        marks = {
            r.label: Line2D([], [], linewidth=0, **style.mark(r.place, r.averaged))
            for r in readings(results)
        }
        style.legend(figure, marks)
    return figure


def _panel(axes: Axes, points: Points, at: float) -> None:
    """Draw the points, from a TPR of 0 up, and leave room for their names."""
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
    top = max([100 * at, 0.1, *(p.top for _, p in points)])
    margin = max(0.18 * (right - left), 0.5)
    axes.set_xlim(max(left - margin, -2), min(right + margin, 102))
    axes.set_ylim(-0.04 * top, min(1.12 * top, 104))
    if at:
        axes.axhline(100 * at, color=style.FAINT, linewidth=0.9, linestyle=style.DOTTED)
        edge = axes.get_yaxis_transform()
        axes.text(1.01, 100 * at, "chance", fontsize=7, va="center", transform=edge)


def _rate(results: dict[str, Any], attack: str) -> list[float]:
    """The one FPR at which an attack is drawn, or none if it was never read."""
    rates = columns.rates(results, attack)
    resolved = [at for at in rates if at > 0]
    return [SHOWN_RATE] if SHOWN_RATE in rates else (resolved or rates)[:1]


def _points(results: dict[str, Any], membership: str, at: float, robustness: str | None) -> Points:
    """A panel's points, in percent; readings without both quantities are left out."""
    found = []
    for reading in readings(results):
        figures = reading.figures
        x = (
            figures.get("robust_accuracy", {}).get(robustness)
            if robustness
            else figures.get("natural_accuracy")
        )
        y = columns.tpr(figures, membership, at)
        if measured(x) and measured(y):
            over = f" {DAGGER}" if robustness in reading.overstated else ""
            color = style.color(reading.place)
            found.append((reading, labels.Point(reading.label + over, color, *ends(x), *ends(y))))
    return found
