"""Privacy against robustness: a point an arm, with both error bars."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from runner.report import columns, labels, style

SHOWN_RATE = 0.001  # the FPR at which the papers compare; else the smallest that was resolved


def privacy_robustness_figure(results: dict[str, Any]) -> Figure | None:
    """Return a grid of panels: a column a robustness attack, a row a membership attack.

    Without a robustness attack, privacy is drawn against natural accuracy.
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
        axes.set_xlabel(style.plain(f"{x} (%)"))
        axes.set_ylabel(style.plain(f"{membership}: {columns.rate_title(at)} (%)"))
        axes.set_title("lower right is better", loc="right", fontsize=8)
    points = dict(zip(panels, (list(one[-1].values()) for one in found), strict=True))
    if not labels.place(figure, points):
        marks = {
            arm: Line2D([], [], color=style.color(i), marker=style.marker(i), linewidth=0)
            for i, arm in enumerate(results["arms"])
        }
        style.legend(figure, marks)
    return figure


def _panel(axes: Axes, points: dict[int, labels.Point], at: float) -> None:
    """Draw the points, from a TPR of 0 up, and leave room for their names."""
    for i, p in points.items():
        axes.errorbar(
            p.x,
            p.y,
            xerr=[[p.x - p.left], [p.right - p.x]],
            yerr=[[p.y - p.bottom], [p.top - p.y]],
            fmt=style.marker(i),
            color=p.color,
            markersize=6,
            elinewidth=1,
        )
    left = min((p.left for p in points.values()), default=0.0)
    right = max((p.right for p in points.values()), default=100.0)
    top = max([100 * at, 0.1, *(p.top for p in points.values())])
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


def _points(
    results: dict[str, Any], membership: str, at: float, robustness: str | None
) -> dict[int, labels.Point]:
    """A panel's points, in percent, by the arm's position; arms without both are left out."""
    found = {}
    for i, (name, arm) in enumerate(results["arms"].items()):
        x = (
            arm.get("robust_accuracy", {}).get(robustness)
            if robustness
            else arm.get("natural_accuracy")
        )
        y = columns.tpr(arm, membership, at)
        if columns.measured(x) and columns.measured(y):
            found[i] = labels.Point(name, style.color(i), *_percents(x), *_percents(y))
    return found


def _percents(figure: columns.Figure) -> tuple[float, float, float]:
    """Mean, low and high in percent; an end that is not known is the mean."""
    mean = 100 * figure["mean"]
    low, high = (figure.get(key) for key in ("low", "high"))
    return (
        mean,
        100 * low if columns.finite(low) else mean,
        100 * high if columns.finite(high) else mean,
    )
