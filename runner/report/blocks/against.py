"""Accuracy and membership AUC against a number of the defenses, such as the noise gamma."""

from collections.abc import Callable
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D

from runner.report import style
from runner.report.dial_lines import DialLine, dial_lines
from runner.report.readings import Figure, Figures, auc_of, ends, measured, robust_accuracy_of
from runner.report.shadows import with_shadows

NATURAL, TRAINING = "o", "^"  # marks of test and training accuracy


class Series(NamedTuple):
    """One quantity of a panel."""

    read: Callable[[Figures], Figure | None]
    marker: str = NATURAL


class Panel(NamedTuple):
    """One pair of axes."""

    title: str
    label: str
    scale: float
    series: list[Series]
    guess: float | None = None  # where a dotted line stands
    evasion: str | None = None  # the attack that its robust accuracy may overstate


def against_figure(results: dict[str, Any]) -> Drawing | None:
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
            for series in panel.series:
                _draw(axes, line, series, panel.scale, color)
        if panel.guess is not None:
            axes.axhline(panel.guess, color=style.FAINT, linewidth=0.9, linestyle=style.DOTTED)
        at_zero = f" (0: {baseline})" if baseline in results["arms"] else ""
        axes.set_xlabel(style.plain(f"{dial}{at_zero}"))
        axes.set_ylabel(style.plain(panel.label))
        readings = [reading for line in lines for _, reading in line.points]
        over = any(panel.evasion in reading.overstated for reading in readings)
        axes.set_title(style.plain(f"{panel.title}{', overstated' if over else ''}"))
    style.legend(figure, _legend(lines, chosen.get("by")))
    return figure


def _panels(results: dict[str, Any]) -> list[Panel]:
    """Every panel that there may be."""
    accuracies = [
        Series(lambda figures: figures.get("natural_accuracy"), NATURAL),
        Series(lambda figures: figures.get("train_accuracy"), TRAINING),
    ]
    robust = [
        Panel(name, "robust accuracy (%)", 100, [Series(robust_accuracy_of(name))], evasion=name)
        for name in results["attacks"].get("robustness", {})
    ]
    aucs = [
        Panel(with_shadows(results, name), "membership AUC", 1, [Series(auc_of(name))], guess=0.5)
        for name in results["attacks"].get("membership", {})
    ]
    return [Panel("training and test", "accuracy (%)", 100, accuracies), *aucs, *robust]


def _has_points(panel: Panel, lines: list[DialLine]) -> bool:
    return any(
        measured(series.read(reading.figures))
        for series in panel.series
        for line in lines
        for _, reading in line.points
    )


def _draw(axes: Axes, line: DialLine, series: Series, scale: float, color: str) -> None:
    """Draw one line of one quantity, where it was measured."""
    known = [
        (at, ends(figure, scale))
        for at, reading in line.points
        if measured(figure := series.read(reading.figures))
    ]
    if known:
        at, figures = zip(*known, strict=True)
        look = _look(line, color) if line.connected else {"color": color, "linestyle": "none"}
        hollow = {"markerfacecolor": style.PAPER} if series.marker == TRAINING else {}
        figures = list(zip(*figures, strict=True))
        style.errorbar(axes, at, figures, **look, marker=series.marker, markersize=5, **hollow)


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
            named[name] = Line2D([], [], color=color, linewidth=1.5)
    mean = [reading.draws for line in lines for _, reading in line.points if reading.averaged]
    if mean:
        named["1 draw"] = Line2D([], [], color=style.FAINT)
        named[f"mean of {mean[0]} draws"] = Line2D([], [], color=style.FAINT, linestyle="--")
    unlined: Any = {"color": style.FAINT, "linewidth": 0}
    named["test"] = Line2D([], [], **unlined, marker=NATURAL)
    named["training"] = Line2D([], [], **unlined, marker=TRAINING, markerfacecolor=style.PAPER)
    return named
