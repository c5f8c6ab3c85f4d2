"""How a sweep's settings look in a figure: colours, marks, their legend, the scale of an axis.

The numbers of an axis are laid out evenly, by logarithm, or by logarithm with a zero.
"""

import itertools
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axis import Axis
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, LogNorm, Normalize, SymLogNorm
from matplotlib.lines import Line2D

from runner.report import style
from runner.report.sweep.readings import (
    Three,
    Trial,
    axis_names,
    most_models,
    number,
    numeric,
    trials,
    values,
    varied,
)

MARKERS = ("o", "^", "v", "P", "X", "<", ">")  # squares and diamonds mean something else
STOPPED = 0.45  # opacity of a setting that was stopped earlier
SPAN = 30  # times by which numbers differ from which on a logarithm shows them better
MOST_TICKS, LEAST_GAP = 8, 0.08  # of an axis: values written on it, and what two are apart
FRONT, RING, FRESH, BASE = "front", "recommended", "recommended, fresh seed", "base"


class Look(NamedTuple):
    """How settings are told apart: a colour a value of one axis, a mark a value of another."""

    colored: str | None  # the axis, or None where settings differ on none
    bar: ScalarMappable | None  # of a numeric axis
    kinds: list[str]  # the values of a categorical one
    marked: str | None
    marks: list[str]

    def of(self, trial: Trial) -> dict[str, Any]:
        """Return the colour and the mark of a setting."""
        color: Any = style.color(0)
        if self.colored and self.bar:
            color = self.bar.to_rgba(np.array(number(trial.setting[self.colored])))
        elif self.colored:
            color = style.color(self.kinds.index(trial.labels[self.colored]))
        place = self.marks.index(trial.labels[self.marked]) if self.marked else 0
        return {"color": color, "marker": MARKERS[place % len(MARKERS)]}


def look_of(results: dict[str, Any], some: list[Trial]) -> Look:
    """Colour by the first axis on which settings differ, marks by the next that is no number."""
    axes = varied(results)
    colored = axes[0] if axes else None
    marked = next((axis for axis in axes[1:] if not numeric(results, axis)), None)
    bar, kinds = None, []
    if colored and numeric(results, colored):
        bar = ScalarMappable(norm_of(list(values(results, colored))), colors_of())
    elif colored:
        kinds = list(dict.fromkeys(trial.labels[colored] for trial in some))
    marks = list(dict.fromkeys(trial.labels[marked] for trial in some)) if marked else []
    return Look(colored, bar, kinds, marked, marks)


def bases(points: list[Trial], most: int) -> list[Three]:
    """The base by the most models: one, or several where the sweep varies the base too."""
    found: list[Three] = []
    for trial in points:
        if trial.num_models == most and trial.base and trial.base not in found:
            found.append(trial.base)
    return found


def legend_of(results: dict[str, Any], look: Look) -> dict[str, Line2D]:
    """What colours, marks and lines mean, each on its own."""
    plain: dict[str, Any] = {"linewidth": 0, "markersize": 6}
    found, names = {}, axis_names(results)
    for i, kind in enumerate(look.kinds):
        kind = f"{names[look.colored or '']} {kind}"
        found[kind] = Line2D([], [], color=style.color(i), marker="o", **plain)
    for i, kind in enumerate(look.marks):
        kind, mark = f"{names[look.marked or '']} {kind}", MARKERS[i % len(MARKERS)]
        found[kind] = Line2D([], [], color=style.FAINT, marker=mark, **plain)
    some, most, chosen = trials(results), most_models(results), results["recommended"]
    if any(trial.num_models < most for trial in some):
        hollow: dict[str, Any] = {"markerfacecolor": style.PAPER, "alpha": STOPPED}
        found["stopped earlier"] = Line2D([], [], color=style.INK, marker="o", **plain, **hollow)
    if bases(some, most):
        found[BASE] = Line2D([], [], color=style.INK, marker="s", **plain)
    if any(trial.on_front for trial in some):
        found[FRONT] = Line2D([], [], **line_of_front())
    if chosen:
        found[RING] = Line2D([], [], **ring())
    if (chosen or {}).get("fresh"):
        found[FRESH] = Line2D([], [], color=style.FAINT, marker="D", **plain, mec=style.INK)
    return {**found, "chance": Line2D([], [], **style.GUIDE)}


def ring() -> dict[str, Any]:
    look = {"marker": "o", "markersize": 13, "markerfacecolor": "none", "linewidth": 0}
    return {**look, "markeredgecolor": style.INK, "markeredgewidth": 1.3, "zorder": 5}


def line_of_front() -> dict[str, Any]:
    return {"color": style.INK, "linewidth": 1.1, "linestyle": "--", "zorder": 1.5}


def scale_of(numbers: list[float]) -> dict[str, Any]:
    """Return what `set_xscale` takes: "log", or "symlog" where one of the numbers is 0."""
    positive = [value for value in numbers if value > 0]
    if min(numbers) < 0 or len(positive) < 2 or max(positive) <= SPAN * min(positive):
        return {"value": "linear"}
    if min(numbers) > 0:
        return {"value": "log"}
    return {"value": "symlog", "linthresh": min(positive), "linscale": 0.5}


def norm_of(numbers: list[float]) -> Normalize:
    """Return what takes numbers to [0, 1] by the same scale."""
    scale, ends = scale_of(numbers), (min(numbers), max(numbers))
    if scale["value"] == "log":
        return LogNorm(*ends)
    if scale["value"] == "symlog":
        return SymLogNorm(scale["linthresh"], scale["linscale"], *ends)
    return Normalize(*ends)


def colors_of() -> LinearSegmentedColormap:
    """Return colours from low to high that grow lighter, and stand out on white and on black."""
    ends = [style.COLORS[0], style.COLORS[3], style.COLORS[4]]
    return LinearSegmentedColormap.from_list("setting", ends, N=48)


def write_ticks(axis: Axis, numbers: dict[float, str]) -> None:
    """Write the values themselves on an axis where they are few and lie apart.

    Args:
        numbers: the values, rising, and how each is written.
    """
    at = np.asarray(norm_of(list(numbers))(list(numbers))).tolist()
    near = any(after - before < LEAST_GAP for before, after in itertools.pairwise(at))
    if len(numbers) <= MOST_TICKS and not near:
        axis.set_ticks(list(numbers), labels=[style.plain(text) for text in numbers.values()])
        axis.set_ticks([], minor=True)
