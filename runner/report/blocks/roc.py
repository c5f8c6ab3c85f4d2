"""ROC curves: one panel a membership attack, one curve a reading of an arm."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from runner.report import style
from runner.report.blocks._block import Block
from runner.report.blocks._live_roc import roc_live
from runner.report.columns import num_negatives
from runner.report.readings import (
    ArmFigures,
    calibrated,
    hollow_marks,
    membership,
    readings,
    with_shadows,
)
from runner.report.text import percent

Curve = dict[str, Any]  # fpr, tpr and, where there are several models, low and high: lists
Curves = list[tuple[ArmFigures, Curve]]
CEILING: Any = {"color": style.INK, "linewidth": 1.2, "linestyle": style.DOTTED}
MOST_BANDS = 4  # curves of one panel; of more, the intervals would cover each other


def roc_figure(results: dict[str, Any]) -> Figure | None:
    """Return mean curves with their intervals, chance, and the smallest FPR that can be seen.

    Both axes are logarithmic: what an attack finds without accusing many is at the left.
    """
    smallest = Line2D([], [], **style.GUIDE)

    def panel(axes: Axes, attack: str, curves: Curves) -> None:
        _logarithmic(axes, curves, num_negatives(results, attack))

    attacks = list(results["attacks"].get("membership", {}))
    return _figure(results, attacks, panel, {"one false positive": smallest})


def roc_linear_figure(results: dict[str, Any]) -> Figure | None:
    """Return the curves of calibrated attacks in linear axes, as the papers draw them."""
    return _figure(results, calibrated(results), _linear, {})


def _figure(
    results: dict[str, Any],
    attacks: list[str],
    panel: Callable[[Axes, str, Curves], None],
    also: dict[str, Line2D],
) -> Figure | None:
    """A panel an attack that has curves; `also` goes into the legend."""
    drawn = {attack: curves for attack in attacks if (curves := _curves(results, attack))}
    if not drawn:
        return None
    num_across = min(len(drawn), 3)
    figure, panels = style.panels(len(drawn), num_across, width=4.0, height=3.8)
    for axes, (attack, curves) in zip(panels, drawn.items(), strict=True):
        panel(axes, attack, curves)
        axes.set(xlabel="false-positive rate", ylabel="true-positive rate", box_aspect=1)
        axes.set_title(style.plain(with_shadows(results, attack)))
    lines = {r.label: Line2D([], [], **_stroke(r)) for r in readings(results)}
    if any(_ceiling(reading) for curves in drawn.values() for reading, _ in curves):
        lines["ceiling that is proved, in the arm's colour"] = Line2D([], [], **CEILING)
    chance = Line2D([], [], color=style.FAINT, linewidth=0.8)
    style.legend(figure, {**lines, "chance": chance, **also})
    return figure


def _logarithmic(axes: Axes, curves: Curves, num_negatives: int) -> None:
    """Draw one attack's curves, from the decade of the smallest FPR that can be seen."""
    smallest = 1 / num_negatives
    begin = min(10.0 ** math.floor(math.log10(smallest) + 1e-9), 0.1)
    # a logarithmic axis has no zero: what is zero goes below the frame
    _draw(axes, curves, least=begin / 10)
    axes.plot([begin, 1], [begin, 1], color=style.FAINT, linewidth=0.8)
    axes.axvline(smallest, **style.GUIDE)
    axes.set(xscale="log", yscale="log", xlim=(begin, 1), ylim=(begin, 1))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda rate, _: percent(rate))
        axis.set_minor_formatter(lambda rate, _: "")


def _linear(axes: Axes, attack: str, curves: Curves) -> None:
    """Draw one attack's curves as they are."""
    _draw(axes, curves, least=0)
    axes.plot([0, 1], [0, 1], color=style.FAINT, linewidth=0.8)
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))


def _draw(axes: Axes, curves: Curves, least: float) -> None:
    """The curves, with their intervals where these are few, no lower than `least`.

    And the ceiling of each arm that has one, once.
    """
    for reading, curve in curves:
        if not reading.averaged and (most := _ceiling(reading)):
            look = {**CEILING, "color": style.color(reading.place)}
            axes.plot(most["fpr"], np.maximum(most["tpr"], least), **look)
        tpr, low, high = (
            np.maximum(np.array(curve.get(key) or curve["tpr"], dtype=float), least)
            for key in ("tpr", "low", "high")
        )
        if len(curves) <= MOST_BANDS:
            color = style.color(reading.place)
            axes.fill_between(curve["fpr"], low, high, color=color, alpha=0.15, linewidth=0)
        axes.plot(curve["fpr"], tpr, **_stroke(reading))


def _ceiling(reading: ArmFigures) -> Curve | None:
    """The curve that no attack of this design exceeds, where one is proved."""
    return ((reading.figures.get("ceiling") or {}).get("audit") or {}).get("roc")


def _stroke(reading: ArmFigures) -> dict[str, Any]:
    """How a curve looks; the mean of several draws has hollow marks on it."""
    look = {
        "color": style.color(reading.place),
        "linestyle": style.line(reading.place),
        "linewidth": 1.6,
    }
    marks = {**style.mark(reading.place, averaged=True), "markersize": 4, "markevery": 0.12}
    return look | marks if reading.averaged else look


def _curves(results: dict[str, Any], attack: str) -> Curves:
    """The curves of one attack; readings without one are left out."""
    found = []
    for reading in readings(results):
        curve = membership(reading.figures, attack).get("roc")
        if curve and curve.get("fpr"):
            found.append((reading, curve))
    return found


def _bands(results: dict[str, Any], attacks: list[str]) -> str:
    """Whether intervals are drawn."""
    if max((len(_curves(results, attack)) for attack in attacks), default=0) <= MOST_BANDS:
        return "with 95 % intervals"
    return f"without intervals where a panel has more than {MOST_BANDS} curves"


def _caption(results: dict[str, Any]) -> str:
    """What stands below the figure in logarithmic axes."""
    attacks = list(results["attacks"].get("membership", {}))
    return (
        f"ROC curves, mean over models, {_bands(results, attacks)}; both axes are logarithmic, so "
        "that the left, where few non-members are accused, can be read." + hollow_marks(results)
    )


def _linear_caption(results: dict[str, Any]) -> str:
    """What stands below the figure in linear axes."""
    return (
        "ROC curves of the attacks whose scores are probabilities, in linear axes, "
        f"{_bands(results, calibrated(results))}.{hollow_marks(results)}"
    )


LOGARITHMIC = Block("roc", figure=roc_figure, caption=_caption, live=roc_live)
LINEAR = Block("roc_linear", figure=roc_linear_figure, caption=_linear_caption)
