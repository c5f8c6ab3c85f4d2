"""Leakage against accuracy: a point a setting of a sweep, and the front that none of them beats."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing

from runner.report import labels, style
from runner.report.quantities import Quantity
from runner.report.readings import ends
from runner.report.sweep.look import (
    BASE,
    FRESH,
    STOPPED,
    Look,
    bases,
    legend_of,
    line_of_front,
    look_of,
    ring,
    write_ticks,
)
from runner.report.sweep.readings import (
    Three,
    Trial,
    axis_names,
    best_of,
    most_models,
    quantities,
    read,
    trials,
    values,
    varied,
)

MOST_NAMES, LONGEST = 16, 18  # points that are named, and letters of a name


def pareto_figure(results: dict[str, Any]) -> Drawing | None:
    """Return a panel of leakage against robust accuracy, if that was sought, and one of natural.

    A setting stands at its figures by the most models that it reached. The front is a staircase
    through those of its settings that none beats in the two quantities of the panel. None where
    nothing was measured.
    """
    shown, some = quantities(results), trials(results)
    across = [shown[key] for key in ("robust", "natural") if key in shown]
    panels = [
        (x, points)
        for x in across
        if (points := [t for t in some if read(t.figures, x) and read(t.figures, shown["leakage"])])
    ]
    if not panels:
        return None
    look = look_of(results, some)
    figure, axes = style.panels(len(panels), len(panels), width=4.6, height=3.9)
    drawn = {
        one: _panel(one, results, x, points, look)
        for one, (x, points) in zip(axes, panels, strict=True)
    }
    if look.colored and look.bar:
        bar = figure.colorbar(look.bar, ax=axes, aspect=30, pad=0.015)
        bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
        assert bar.solids is not None
        bar.solids.set_edgecolor("face")  # or seams show between the colours of an SVG
        bar.set_label(style.plain(axis_names(results)[look.colored]))
        write_ticks(bar.ax.yaxis, values(results, look.colored))
    style.legend(figure, legend_of(results, look))
    if all(len(points) <= MOST_NAMES for points in drawn.values()):
        labels.place(figure, drawn)
    return figure


def pareto_caption(results: dict[str, Any]) -> str:
    """Return what stands below the figure: only what is in it."""
    some, most = trials(results), most_models(results)
    counts = sorted({trial.num_models for trial in some if trial.num_models < most})
    text = (
        f"Leakage against accuracy, a point a setting, with 95 % intervals over its {most} models. "
        "Lower right is better; the dotted line is a guess. The staircase joins the settings of "
        "the front that none beats in the two quantities of its panel."
    )
    if counts:
        text += (
            f" Hollow and faint: settings stopped at {' or '.join(map(str, counts))} models, whose "
            "shadows are fewer too, so that their figures do not compare with those at "
            f"{most} models."
        )
    if (results.get("recommended") or {}).get("fresh"):
        text += (
            " The ring is the recommended setting by the models that it was chosen by, the diamond "
            "the same setting by models of a fresh seed: the line between them is what being "
            "chosen flattered. The same of the base: the filled square and the hollow one."
        )
    return text


def _panel(
    axes: Axes, results: dict[str, Any], x: Quantity, points: list[Trial], look: Look
) -> list[labels.Point]:
    """Draw one panel; return its points, with the names that they may have."""
    y, most, chosen = quantities(results)["leakage"], most_models(results), results["recommended"]
    drawn = []

    def point(figures: Three | None, name: str, **how: Any) -> labels.Point | None:
        across, up = read(figures, x), read(figures, y)
        if not across or not up:
            return None
        found = labels.Point(name, style.INK, *ends(across, x.scale), *ends(up, y.scale))
        _errorbars(axes, found, **how)
        drawn.append(found)
        return found

    for trial in points:
        full = trial.num_models == most
        hollow = {"markerfacecolor": style.PAPER, "alpha": STOPPED, "zorder": 2}
        point(trial.figures, _name(results, trial), **look.of(trial), **({} if full else hollow))
    square = {"color": style.INK, "marker": "s"}
    for base in bases(points, most):
        point(base, BASE, **square)
    _front(axes, [trial for trial in points if trial.on_front], x, y)
    if chosen:
        own = next((trial for trial in points if trial.id == chosen["id"]), None)
        color = look.of(own)["color"] if own else style.INK
        fresh = {"markersize": 7, "zorder": 4, "markeredgecolor": style.INK}
        after = point(chosen.get("fresh"), FRESH, color=color, marker="D", **fresh)
        _joined(axes, chosen.get("flattered"), after, x, y, ringed=True)
        hollow = {"markerfacecolor": style.PAPER}
        after = point(chosen.get("fresh_base"), f"{BASE}, fresh seed", **square, **hollow)
        _joined(axes, chosen.get("flattered_base"), after, x, y)
    _limits(axes, drawn, y)
    axes.set_xlabel(style.plain(x.header))
    axes.set_ylabel(style.plain(y.header))
    axes.set_title("lower right is better", loc="right", fontsize=8)
    return drawn


def _errorbars(axes: Axes, p: labels.Point, **how: Any) -> None:
    across, up = [[p.x - p.left], [p.right - p.x]], [[p.y - p.bottom], [p.top - p.y]]
    axes.errorbar(p.x, p.y, xerr=across, yerr=up, **{"markersize": 6, "elinewidth": 1, **how})


def _name(results: dict[str, Any], trial: Trial) -> str:
    """What a point is called: the values on which settings differ, or its id if these are long."""
    name = ", ".join(trial.labels[axis] for axis in varied(results))
    return name if 0 < len(name) <= LONGEST else trial.id


def _front(axes: Axes, front: list[Trial], x: Quantity, y: Quantity) -> None:
    """Draw the staircase: at each leakage the accuracy that a setting of no more leakage has."""

    def worth(trial: Trial) -> tuple[float, float]:
        across, up = read(trial.figures, x), read(trial.figures, y)
        assert across is not None
        assert up is not None
        return x.scale * across["mean"], y.scale * up["mean"]

    steps = [worth(trial) for trial in best_of(front, worth)]
    if steps:
        axes.plot(
            *zip(*steps, strict=True), drawstyle="steps-pre", label="_front", **line_of_front()
        )


def _joined(
    axes: Axes,
    before: Three | None,
    after: labels.Point | None,
    x: Quantity,
    y: Quantity,
    ringed: bool = False,
) -> None:
    """Lead from what a setting showed when it was chosen to what it showed afresh."""
    across, up = read(before, x), read(before, y)
    if not across or not up:
        return
    at = (x.scale * across["mean"], y.scale * up["mean"])
    if ringed:
        axes.plot(*at, **ring())
    if after:
        line = {"color": style.INK, "linewidth": 0.8, "zorder": 3, "label": "_flattery"}
        axes.plot([at[0], after.x], [at[1], after.y], **line)


def _limits(axes: Axes, drawn: list[labels.Point], y: Quantity) -> None:
    """Leave room for names; show a guess unless all points lie far above it."""
    left, right = min(p.left for p in drawn), max(p.right for p in drawn)
    low, top = min(p.bottom for p in drawn), max(p.top for p in drawn)
    if low - y.guess < 2 * (top - low):
        low, top = min(low, y.guess), max(top, y.guess)
    wide, high = max(right - left, 0.5), max(top - low, y.scale / 1000)
    axes.set_xlim(max(left - 0.15 * wide, -2), min(right + 0.15 * wide, 102))
    axes.set_ylim(low - 0.06 * high, min(top + 0.1 * high, 1.04 * y.scale))
    axes.axhline(y.guess, **style.GUIDE)
