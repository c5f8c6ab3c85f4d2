"""ROC curves in logarithmic axes: one panel a membership attack, one curve an arm."""

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from runner.report import columns, style

Curve = dict[str, Any]  # fpr, tpr and, where there are several models, low and high: lists


def roc_figure(results: dict[str, Any]) -> Figure | None:
    """Return mean curves with their intervals, chance, and the smallest FPR that can be seen."""
    drawn = {
        attack: curves
        for attack in results["attacks"].get("membership", {})
        if (curves := _curves(results, attack))
    }
    if not drawn:
        return None
    num_across = min(len(drawn), 3)
    figure, panels = style.panels(len(drawn), num_across, width=4.0, height=3.8)
    for axes, (attack, curves) in zip(panels, drawn.items(), strict=True):
        _panel(axes, attack, curves, columns.num_negatives(results, attack))
    lines = {
        arm: Line2D([], [], color=style.color(i), linestyle=style.line(i))
        for i, arm in enumerate(results["arms"])
    }
    chance = Line2D([], [], color=style.FAINT, linewidth=0.8)
    smallest = Line2D([], [], color=style.FAINT, linewidth=0.9, linestyle=style.DOTTED)
    style.legend(figure, {**lines, "chance": chance, "one false positive": smallest})
    return figure


def _panel(axes: Axes, attack: str, curves: dict[int, Curve], num_negatives: int) -> None:
    """Draw one attack's curves, from the decade of the smallest FPR that can be seen."""
    smallest = 1 / num_negatives
    begin = min(10.0 ** math.floor(math.log10(smallest) + 1e-9), 0.1)
    for i, curve in curves.items():
        # a logarithmic axis has no zero: what is zero goes below the frame
        tpr, low, high = (
            np.maximum(np.array(curve.get(key) or curve["tpr"], dtype=float), begin / 10)
            for key in ("tpr", "low", "high")
        )
        axes.fill_between(curve["fpr"], low, high, color=style.color(i), alpha=0.15, linewidth=0)
        axes.plot(curve["fpr"], tpr, style.line(i), color=style.color(i), linewidth=1.6)
    axes.plot([begin, 1], [begin, 1], color=style.FAINT, linewidth=0.8)
    axes.axvline(smallest, color=style.FAINT, linewidth=0.9, linestyle=style.DOTTED)
    axes.set(xscale="log", yscale="log", xlim=(begin, 1), ylim=(begin, 1), box_aspect=1)
    axes.set(xlabel="false-positive rate", ylabel="true-positive rate")
    axes.set_title(style.plain(attack))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda rate, _: columns.percent(rate))
        axis.set_minor_formatter(lambda rate, _: "")


def _curves(results: dict[str, Any], attack: str) -> dict[int, Curve]:
    """The curves of one attack by the arm's position; arms without one are left out."""
    found = {}
    for i, arm in enumerate(results["arms"].values()):
        curve = (arm.get("membership", {}).get(attack) or {}).get("roc")
        if curve and curve.get("fpr"):
            found[i] = curve
    return found
