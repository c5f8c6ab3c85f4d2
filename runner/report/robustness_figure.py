"""Accuracy under one attack against its radius and against its steps, as a check of the attack."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from runner.report import style
from runner.report.readings import Reading, readings

PANELS = {  # of a sanity block, and what it is drawn against
    "eps_monotone": "eps",
    "more_steps_not_weaker": "steps at the attack's own eps",
}
NUM_ERRORS = 2  # of the error bars
CHANCE: dict[str, Any] = {"color": style.FAINT, "linewidth": 0.9, "linestyle": style.DOTTED}
SQUARE: dict[str, Any] = {"marker": "*", "markersize": 9, "linestyle": "none"}


def sanity_figure(results: dict[str, Any]) -> Figure | None:
    """Return two panels with a line a reading: radii, the black box among them, and steps."""
    shown = [(reading, reading.figures.get("sanity")) for reading in readings(results)]
    shown = [(reading, sanity) for reading, sanity in shown if sanity]
    if not shown:
        return None
    figure, panels = style.panels(len(PANELS), len(PANELS), width=4.0, height=3.2)
    for axes, (check, told) in zip(panels, PANELS.items(), strict=True):
        for reading, sanity in shown:
            _line(axes, reading, sanity[check]["points"])
        _across(axes, [point["at"] for _, sanity in shown for point in sanity[check]["points"]])
        axes.set(xlabel=told, ylabel="accuracy (%)", ylim=(-4, 104))
    for reading, sanity in shown:
        panels[0].axhline(100 * sanity["chance_at_large_eps"]["chance"], **CHANCE)
        for point in sanity["black_box_not_stronger"]["points"]:
            if point["at"] == "square":
                color = style.color(reading.place)
                panels[0].plot(sanity["eps"], 100 * point["accuracy"], color=color, **SQUARE)
    lines = {reading.label: Line2D([], [], **_look(reading)) for reading, _ in shown}
    others = {
        "Square, a black box": Line2D([], [], color=style.INK, **SQUARE),
        "chance": Line2D([], [], **CHANCE),
    }
    style.legend(figure, lines | others)
    return figure


def _line(axes: Axes, reading: Reading, points: list[dict[str, Any]]) -> None:
    """Draw one reading's accuracies in percent, with bars of two standard errors."""
    mean = [100 * point["accuracy"] for point in points]
    reach = [100 * NUM_ERRORS * point["error"] for point in points]
    low = [max(m - r, 0.0) for m, r in zip(mean, reach, strict=True)]
    high = [min(m + r, 100.0) for m, r in zip(mean, reach, strict=True)]
    style.errorbar(axes, [point["at"] for point in points], (mean, low, high), **_look(reading))


def _across(axes: Axes, at: list[float]) -> None:
    """Name the values on an axis that is logarithmic but has room for 0."""
    values = sorted(set(at))
    axes.set_xscale("symlog", linthresh=min((v for v in values if v), default=1.0))
    axes.set_xticks(values, [f"{value:.3g}" for value in values])
    axes.minorticks_off()


def _look(reading: Reading) -> dict[str, Any]:
    mark = style.mark(reading.place, reading.averaged)
    return {**mark, "linestyle": style.line(reading.place), "markersize": 5, "linewidth": 1.4}
