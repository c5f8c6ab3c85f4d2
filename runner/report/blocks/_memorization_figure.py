"""Leakage and accuracy against the memorization score."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D

from runner.report import style
from runner.report.quantities import tpr
from runner.report.readings import ends, measured
from runner.report.text import percent

MOST_TICKS = 5  # of the scores above 0
APART = 1.5  # bins that lie between the middles of bin 0 and of the first one
SPREAD = 0.4  # of a bin, over which the marks of its arms are spread


def memorization_figure(results: dict[str, Any]) -> Drawing | None:
    """Return two panels, the TPR and the accuracy in each bin, with the number of its examples.

    Source: DeMem, figure 1. The bin of 0 stands apart. Marks of one bin are drawn side by side, so
    that their intervals can be told apart.
    """
    found = results.get("memorization")
    if not found:
        return None
    figure, panels = style.panels(2, 2, width=4.6, height=3.6)
    places = list(results["arms"])
    shown = [(name, places.index(name)) for name in found["arms"] if name in places]
    titles = {"tpr": f"{tpr_title(found)} (%)", "accuracy": "accuracy on non-members (%)"}
    for axes, (quantity, title) in zip(panels, titles.items(), strict=True):
        _counts(axes, found)
        for i, (name, place) in enumerate(shown):
            shift = SPREAD * (i - (len(shown) - 1) / 2) / max(len(shown), 2)
            _line(axes, found, found["arms"][name][quantity]["by_bin"], place, shift)
        _scale(axes, found)
        axes.set_ylabel(style.plain(title))
    lines = {name: Line2D([], [], **_look(place)) for name, place in shown}
    bars = Line2D([], [], color=style.FAINT, alpha=0.25, linewidth=7)
    style.legend(figure, {**lines, "examples (right axis)": bars})
    return figure


def tpr_title(found: dict[str, Any]) -> str:
    """Return what the TPR is read at: an FPR, or no false positive where that is below one."""
    rate = found["false_positive_rate"]
    zero = f"{tpr(0).title} ({percent(rate)} is below one)"
    return zero if found["at_zero_false_positives"] else tpr(rate).title


def _middles(found: dict[str, Any]) -> np.ndarray:
    """Where each bin stands; the first is that of 0."""
    edges = np.array(found["bins"]["edges"])
    first = edges[1] / 2 - APART * edges[1]
    return np.append(first, (edges[:-1] + edges[1:]) / 2)


def _line(
    axes: Axes,
    found: dict[str, Any],
    figures: list[dict[str, Any] | None],
    place: int,
    shift: float,
) -> None:
    """Draw one arm in percent, where it was measured; no line leads over to the bin of 0."""
    width = found["bins"]["edges"][1]
    at = _middles(found) + shift * width
    known = [(x, ends(one)) for x, one in zip(at, figures, strict=True) if measured(one)]
    for part in ([k for k in known if k[0] < 0], [k for k in known if k[0] >= 0]):
        if part:
            x, values = zip(*part, strict=True)
            style.errorbar(axes, x, list(zip(*values, strict=True)), **_look(place))


def _look(place: int) -> dict[str, Any]:
    line = {"linestyle": style.line(place), "linewidth": 1.2, "markersize": 4}
    return {**style.mark(place), **line}


def _counts(axes: Axes, found: dict[str, Any]) -> None:
    """Draw the number of examples of each bin behind the marks, on a logarithmic axis."""
    counts = np.array(found["bins"]["counts"])
    behind = axes.twinx()
    some = counts > 0
    width = 0.9 * found["bins"]["edges"][1]
    behind.bar(_middles(found)[some], counts[some], width, color=style.FAINT, alpha=0.25)
    behind.set_yscale("log")
    behind.set_ylim(0.5, 2 * counts.max())
    behind.set_ylabel("examples", color=style.FAINT)
    behind.grid(False)
    axes.set_zorder(behind.get_zorder() + 1)
    axes.patch.set_visible(False)


def _scale(axes: Axes, found: dict[str, Any]) -> None:
    """Name the bin of 0 apart, and the ends of some of the others."""
    edges = found["bins"]["edges"]
    step = -(-(len(edges) - 1) // MOST_TICKS)
    shown = edges[-1:0:-step][::-1]
    middle = _middles(found)[0]
    axes.set_xticks([middle, *shown], ["0", *(f"{edge:.2g}" for edge in shown)])
    axes.set_xlim(middle - edges[1], 1 + edges[1] / 4)
    axes.set_xlabel("memorization score")
    axes.grid(False, axis="x")
