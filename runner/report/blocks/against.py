"""Accuracy and membership AUC against a number of the defenses, such as the noise gamma."""

from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from runner.report import style
from runner.report.blocks._block import Block
from runner.report.quantities import QUANTITIES, Quantity
from runner.report.readings import ArmFigures, ends, measured, readings, with_shadows

NATURAL, TRAINING = "o", "^"  # marks of test and training accuracy


class Panel(NamedTuple):
    """One pair of axes: quantities by the marks that they have, of one attack if of any."""

    title: str
    label: str
    quantities: dict[str, Quantity]
    attack: str = ""
    evasion: str | None = None  # the attack that its robust accuracy may overstate


class DialLine(NamedTuple):
    """Arms that differ in the dial, by one number of draws; `points` rise with the dial."""

    value: float | None  # of the number that parts the lines; None where an arm has no such
    averaged: bool
    points: list[tuple[float, ArmFigures]]

    @property
    def connected(self) -> bool:
        """Whether one arm stands at each value: through two at one, no line would mean anything."""
        at = [value for value, _ in self.points]
        return len(set(at)) == len(at)


def against_figure(results: dict[str, Any]) -> Figure | None:
    """Return a panel of training and test accuracy, and one for each attack of either kind.

    A colour for each value of the number that parts the lines; solid by one draw, dashed by the
    mean of several. Source: Tao et al. (2024), https://arxiv.org/abs/2408.05723, figures 3 to 6
    and 9 to 11.
    """
    lines = dial_lines(results)
    shown = [panel for panel in _panels(results) if _has_points(panel, lines)]
    if not shown:
        return None
    chosen = results["report"]
    dial, baseline = chosen["against"], chosen.get("baseline")
    num_across = 2 if len(shown) == 4 else min(len(shown), 3)
    figure, panels = style.panels(len(shown), num_across, width=3.7, height=3.3)
    for axes, panel in zip(panels, shown, strict=True):
        for line, color in zip(lines, _colors(lines), strict=True):
            for mark in panel.quantities:
                _draw(axes, line, panel, mark, color)
        for quantity in panel.quantities.values():
            if quantity.chance is not None:
                axes.axhline(quantity.guess, **style.GUIDE)
        at_zero = f" (0: {baseline})" if baseline in results["arms"] else ""
        axes.set_xlabel(style.plain(f"{dial}{at_zero}"))
        axes.set_ylabel(style.plain(panel.label))
        readings = [reading for line in lines for _, reading in line.points]
        over = any(panel.evasion in reading.overstated for reading in readings)
        axes.set_title(style.plain(f"{panel.title}{', overstated' if over else ''}"))
    style.legend(figure, _legend(lines, chosen.get("by")))
    return figure


def dial_lines(results: dict[str, Any]) -> list[DialLine]:
    """Return the lines that `report` of the configuration asks for; none where it asks for none.

    Each value of `by` has a line for one draw and, where an arm of it was averaged over several,
    one for their mean, in which an arm without noise stands as it is. Arms without the dial are
    left out; the baseline stands at 0 of every line and nowhere else.
    """
    chosen = results.get("report") or {}
    against, by, baseline = (chosen.get(key) for key in ("against", "by", "baseline"))
    placed = [
        (arm["dials"].get(by) if by else None, arm["dials"][against], name)
        for name, arm in results["arms"].items()
        if against in (arm.get("dials") or {}) and name != baseline
    ]
    values = sorted({value for value, *_ in placed}, key=lambda v: (v is None, v or 0))
    found = []
    for value in values:
        arms = [(at, name) for of, at, name in placed if of == value]
        if baseline in results["arms"]:
            arms.append((0.0, baseline))
        for averaged in (False, True):
            points = [(at, _reading(results, name, averaged)) for at, name in sorted(arms)]
            if not averaged or any(reading.averaged for _, reading in points):
                found.append(DialLine(value, averaged, points))
    return found


def _reading(results: dict[str, Any], arm: str, averaged: bool) -> ArmFigures:
    """An arm's reading of one draw, or of their mean where it has one."""
    one, *mean = (reading for reading in readings(results) if reading.arm == arm)
    return mean[0] if averaged and mean else one


def _panels(results: dict[str, Any]) -> list[Panel]:
    """Every panel that there may be."""
    keys = ("natural_accuracy", "train_accuracy", "auc", "robust_accuracy")
    natural, train, auc, robust = (QUANTITIES[key] for key in keys)
    accuracies = {NATURAL: natural, TRAINING: train}
    attacks = results["attacks"]
    return [
        Panel("training and test", f"accuracy ({natural.unit})", accuracies),
        *(
            Panel(with_shadows(results, name), f"membership {auc.header}", {NATURAL: auc}, name)
            for name in attacks.get("membership", {})
        ),
        *(
            Panel(name, robust.header, {NATURAL: robust}, name, evasion=name)
            for name in attacks.get("robustness", {})
        ),
    ]


def _has_points(panel: Panel, lines: list[DialLine]) -> bool:
    return any(
        measured(quantity.read(reading.figures, panel.attack))
        for quantity in panel.quantities.values()
        for line in lines
        for _, reading in line.points
    )


def _draw(axes: Axes, line: DialLine, panel: Panel, mark: str, color: str) -> None:
    """Draw one line of one quantity, where it was measured."""
    quantity = panel.quantities[mark]
    known = [
        (at, ends(figure, quantity.scale))
        for at, reading in line.points
        if measured(figure := quantity.read(reading.figures, panel.attack))
    ]
    if known:
        at, figures = zip(*known, strict=True)
        look = _look(line, color) if line.connected else {"color": color, "linestyle": "none"}
        hollow = {"markerfacecolor": style.PAPER} if mark == TRAINING else {}
        figures = list(zip(*figures, strict=True))
        style.errorbar(axes, at, figures, **look, marker=mark, markersize=5, **hollow)


def _look(line: DialLine, color: str) -> dict[str, Any]:
    return {"color": color, "linestyle": "--" if line.averaged else "-", "linewidth": 1.5}


def _colors(lines: list[DialLine]) -> list[str]:
    """A colour a value, the same for both of its lines."""
    values = list(dict.fromkeys(line.value for line in lines))
    return [style.color(values.index(line.value)) for line in lines]


def _legend(lines: list[DialLine], by: str | None) -> dict[str, Line2D]:
    """What colours, strokes and marks mean, each on its own."""
    named = {}
    if by:
        for line, color in zip(lines, _colors(lines), strict=True):
            name = f"no {by}" if line.value is None else f"{by} {line.value:g}"
            values = {other.value for other in lines}
            if sum(value is not None and f"{by} {value:g}" == name for value in values) > 1:
                name = f"{by} {line.value}"
            named[name] = Line2D([], [], color=color, linewidth=1.5)
    mean = [reading.draws for line in lines for _, reading in line.points if reading.averaged]
    if mean:
        named["1 draw"] = Line2D([], [], color=style.FAINT)
        named[f"mean of {mean[0]} draws"] = Line2D([], [], color=style.FAINT, linestyle="--")
    unlined: Any = {"color": style.FAINT, "linewidth": 0}
    named["test"] = Line2D([], [], **unlined, marker=NATURAL)
    named["training"] = Line2D([], [], **unlined, marker=TRAINING, markerfacecolor=style.PAPER)
    return named


def _caption(results: dict[str, Any]) -> str:
    """What stands below the figure: only what is in it."""
    robust, attacked = (bool(results["attacks"].get(kind)) for kind in ("robustness", "membership"))
    shown = ["Training and test accuracy"] + attacked * ["membership AUC"]
    shown += robust * ["accuracy under attack"]
    text = " and ".join(filter(None, [", ".join(shown[:-1]), shown[-1]]))
    dial = (results.get("report") or {}).get("against")
    guess = "; the dotted line is a guess" if attacked else ""
    return f"{text} against {dial}, with 95 % intervals{guess}."


BLOCK = Block("against", figure=against_figure, caption=_caption)
