"""Accuracy and leakage against each number that a sweep varies."""

from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D

from runner.report import style
from runner.report.quantities import Quantity
from runner.report.readings import Figure, ends
from runner.report.sweep.look import STOPPED, bases, scale_of, write_ticks
from runner.report.sweep.readings import (
    Trial,
    axis_names,
    most_models,
    number,
    numeric,
    quantities,
    read,
    trials,
    values,
    varied,
)

Points = list[tuple[float, Trial]]


class Group(NamedTuple):
    """Settings of one value of the first axis that is no number, rising on the drawn axis."""

    name: str
    color: str
    points: Points
    connected: bool  # whether they differ in the drawn axis alone


def axis_figure(results: dict[str, Any]) -> Drawing | None:
    """Return a row of panels for each numeric axis on which settings differ; None without one.

    A colour for each value of the first axis that is no number. Points are joined where they
    differ in the one axis alone; the base is then dashed. Source, with the weight and with eps as
    the axis: Luo and Li, "DeMem", figures 2 and 3.
    """
    down = numeric_axes(results)
    across = [q for q in quantities(results).values() if _any(results, q)]
    if not down or not across:
        return None
    figure, panels = style.panels(len(down) * len(across), len(across), width=3.6, height=3.1)
    cells = [(axis, quantity) for axis in down for quantity in across]
    for axes, (axis, quantity) in zip(panels, cells, strict=True):
        for group in _groups(results, axis):
            _draw(axes, group, quantity, most_models(results))
        _one_base(axes, results, axis, quantity)
        numbers = values(results, axis)
        axes.set_xscale(**scale_of(list(numbers)))
        write_ticks(axes.xaxis, numbers)
        axes.set_xlabel(style.plain(axis_names(results)[axis]))
        axes.set_ylabel(style.plain(quantity.header))
        if quantity.chance is not None:
            _guess(axes, quantity.guess)
    style.legend(figure, _legend(results, down))
    return figure


def axis_caption(results: dict[str, Any]) -> str:
    """Return what stands below the figure: only what is in it."""
    down, most, some = numeric_axes(results), most_models(results), trials(results)
    names = " and ".join(axis_names(results)[axis] for axis in down)
    text = f"Accuracy and leakage against {names}, with 95 % intervals over {most} models."
    if any(trial.num_models < most for trial in some):
        text += " Hollow: settings stopped at fewer models; their leakage does not compare."
    if len(down) > 1:
        text += " A point a setting; settings differ in the other axes too."
    if any(trial.base for trial in some):
        text += f" Dashed: the base, {results['base']}."
    return f"{text} The dotted line is a guess."


def numeric_axes(results: dict[str, Any]) -> list[str]:
    """Return the axes that hold numbers, of those on which settings differ."""
    return [axis for axis in varied(results) if numeric(results, axis)]


def _groups(results: dict[str, Any], axis: str) -> list[Group]:
    """The settings by the first axis that is no number, if there is one."""
    parting = next((a for a in varied(results) if not numeric(results, a)), None)
    parts: dict[str, Points] = {}
    for trial in trials(results):
        name = f"{axis_names(results)[parting]} {trial.labels[parting]}" if parting else "setting"
        at = number(trial.setting[axis])
        assert at is not None
        parts.setdefault(name, []).append((at, trial))
    alone = len(numeric_axes(results)) == 1
    found = []
    for i, (name, points) in enumerate(parts.items()):
        once = len({at for at, _ in points}) == len(points)
        rising = sorted(points, key=lambda point: point[0])
        found.append(Group(name, style.color(i), rising, alone and once))
    return found


def _draw(axes: Axes, group: Group, quantity: Quantity, most: int) -> None:
    """Draw the points of one group, and their base where that is a line too."""
    shown = [(at, trial, read(trial.figures, quantity)) for at, trial in group.points]
    known = [(at, trial, figure) for at, trial, figure in shown if figure]
    if group.connected:
        means = [quantity.scale * figure["mean"] for *_, figure in known]
        axes.plot([at for at, *_ in known], means, color=group.color, linewidth=1.4)
        base = [(at, read(trial.base, quantity)) for at, trial in group.points]
        line = {"linestyle": "--", "linewidth": 1.1, "marker": "s", "zorder": 1.8}
        _points(axes, [(at, f) for at, f in base if f], quantity, group.color, **line, alpha=0.6)
    for full in (True, False):
        hollow = {} if full else {"markerfacecolor": style.PAPER, "alpha": STOPPED}
        some = [(at, f) for at, trial, f in known if (trial.num_models == most) == full]
        _points(axes, some, quantity, group.color, linestyle="none", marker="o", **hollow)


def _points(
    axes: Axes, known: list[tuple[float, Figure]], quantity: Quantity, color: str, **look: Any
) -> None:
    if known:
        figures = zip(*(ends(figure, quantity.scale) for _, figure in known), strict=True)
        at = [value for value, _ in known]
        style.errorbar(axes, at, list(figures), color=color, markersize=4.5, **look)


def _one_base(axes: Axes, results: dict[str, Any], axis: str, quantity: Quantity) -> None:
    """Where points are not joined, draw the base across them, if it is the same for all."""
    if any(group.connected for group in _groups(results, axis)):
        return
    known = bases(trials(results), most_models(results))
    if len(known) == 1 and (figure := read(known[0], quantity)):
        look = {"color": style.INK, "linestyle": "--", "linewidth": 1.1, "alpha": 0.6}
        axes.axhline(quantity.scale * figure["mean"], **look)


def _guess(axes: Axes, guess: float) -> None:
    """Draw what a guess finds, unless it lies so far off that it would flatten the points."""
    low, high = axes.get_ylim()
    axes.axhline(guess, **style.GUIDE)
    axes.set_ylim((low, high) if low - guess > 2 * (high - low) else None)


def _any(results: dict[str, Any], quantity: Quantity) -> bool:
    return any(read(trial.figures, quantity) for trial in trials(results))


def _legend(results: dict[str, Any], down: list[str]) -> dict[str, Line2D]:
    """What colours and lines mean, each on its own."""
    some, most = trials(results), most_models(results)
    found = {g.name: Line2D([], [], color=g.color, marker="o") for g in _groups(results, down[0])}
    if any(trial.num_models < most for trial in some):
        hollow = {"marker": "o", "markerfacecolor": style.PAPER, "alpha": STOPPED}
        found["stopped earlier"] = Line2D([], [], color=style.INK, linewidth=0, **hollow)
    if any(trial.base for trial in some):
        found["base"] = Line2D([], [], color=style.FAINT, linestyle="--", linewidth=1.1)
    return {**found, "chance": Line2D([], [], **style.GUIDE)}
