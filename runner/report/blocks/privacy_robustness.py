"""Privacy against robustness: a point a reading of an arm, with both error bars."""

from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from runner.report import columns, labels, live, style
from runner.report.blocks._block import Block
from runner.report.quantities import QUANTITIES, Quantity, shown_rate, tpr
from runner.report.readings import (
    STRONGEST,
    ArmFigures,
    attacks_of,
    calibrated,
    ends,
    hollow_marks,
    measured,
    readings,
    with_shadows,
)
from runner.report.text import DAGGER

Points = list[tuple[ArmFigures, labels.Point]]


HINT = "Point at a mark, or use the arrow keys, to read it off. Lower right is better"


class Found(NamedTuple):
    """What a membership attack finds, as a panel reads it."""

    attack: str
    name: str  # of the attack, in the panel
    quantity: Quantity
    least: float  # what the axis begins with, unless points lie below


def privacy_robustness_figure(results: dict[str, Any]) -> Figure | None:
    """Return a grid of panels: a column a robustness attack, a row a membership attack.

    With one robustness attack or none, panels stand two across; with none, privacy is drawn against
    natural accuracy. Privacy is the TPR at a small FPR, but the AUC of an attack whose scores are
    probabilities: it is trained to be right on average, and at a small FPR may find fewer members
    of a plain model than of a private one. A point is hollow where answers are averaged over
    several draws.
    """
    across, found = _across(results), _every_panel(results)
    if not any(points for *_, points in found):
        return None
    num_across = len(across) if len(across) > 1 else min(len(found), 2)
    figure, panels = style.panels(len(found), num_across, width=4.6, height=3.8)
    for axes, (what, robustness, points) in zip(panels, found, strict=True):
        panel(axes, points, what)
        over = any(robustness in reading.overstated for reading, _ in points)
        told = f"; {DAGGER} overstated" if over else ""
        axes.set_xlabel(style.plain(f"{accuracy_under(robustness).header}{told}"))
        axes.set_ylabel(style.plain(f"{what.name}: {what.quantity.header}"))
        axes.set_title("lower right is better", loc="right", fontsize=8)
    points = {a: [p for _, p in one[-1]] for a, one in zip(panels, found, strict=True)}
    if not labels.place(figure, points):
        marks = {
            r.label: Line2D([], [], linewidth=0, **style.mark(r.place, r.averaged))
            for r in readings(results)
        }
        style.legend(figure, marks)
    return figure


def privacy_robustness_live(results: dict[str, Any]) -> live.Live | None:
    """Return the same panels, one of which is shown at a time."""
    drawn = [
        {
            "name": f"{what.name}, {accuracy_under(robustness).title}",
            "hint": HINT,
            "x": live.axis(accuracy_under(robustness).header, *_span([p for _, p in points])),
            "y": live.axis(what.quantity.header, what.least, _top(points, what)),
            "guides": [{"y": live.short(what.quantity.guess), "name": "a guess"}],
            "points": [
                {
                    "of": readings(results).index(reading),
                    "name": p.name,
                    "x": live.shorts((p.x, p.left, p.right)),
                    "y": live.shorts((p.y, p.bottom, p.top)),
                }
                for reading, p in points
            ],
        }
        for what, robustness, points in _every_panel(results)
        if points
    ]
    if not drawn:
        return None
    return {"name": "Privacy against robustness", "series": live.of_arms(results), "panels": drawn}


def _across(results: dict[str, Any]) -> list[str]:
    """The attacks on robustness, or "" where there is none."""
    return list(results["attacks"].get("robustness", {})) or [""]


def _every_panel(results: dict[str, Any]) -> list[tuple[Found, str, Points]]:
    """The panels by rows: what is found, the attack on robustness, the points."""
    return [
        (what, robustness, points_of(results, what, robustness))
        for attack in attacks_of(results)
        for what in _found(results, attack)
        for robustness in _across(results)
    ]


def _span(points: list[labels.Point]) -> tuple[float, float]:
    """From where to where an axis of accuracies goes, with room beside the points."""
    left, right = min(p.left for p in points), max(p.right for p in points)
    margin = max(0.12 * (right - left), 0.5)
    return max(left - margin, 0), min(right + margin, 100)


def _top(points: Points, what: Found) -> float:
    """Where an axis of leakage ends."""
    return max(1.05 * max(p.top for _, p in points), 1.5 * what.quantity.guess - 0.5 * what.least)


def panel(axes: Axes, points: Points, what: Found) -> None:
    """Draw the points, and leave room for their names."""
    for reading, p in points:
        axes.errorbar(
            p.x,
            p.y,
            xerr=[[p.x - p.left], [p.right - p.x]],
            yerr=[[p.y - p.bottom], [p.top - p.y]],
            **style.mark(reading.place, reading.averaged),
            markersize=6,
            elinewidth=1,
        )
    left = min((p.left for _, p in points), default=0.0)
    right = max((p.right for _, p in points), default=100.0)
    low = min([what.least, *(p.bottom for _, p in points)])
    guess, scale = what.quantity.guess, what.quantity.scale
    top = max([guess, low + scale / 1000, *(p.top for _, p in points)])
    margin = max(0.18 * (right - left), 0.5)
    axes.set_xlim(max(left - margin, -2), min(right + margin, 102))
    high = min(top + 0.12 * (top - low), 1.04 * scale)
    axes.set_ylim(low - 0.04 * (top - low), high)
    if guess:
        axes.axhline(guess, **style.GUIDE)
        edge = axes.get_yaxis_transform()
        axes.text(1.01, guess, "chance", fontsize=7, va="center", transform=edge)


def _found(results: dict[str, Any], attack: str) -> list[Found]:
    """How an attack is drawn: in one way, or in none if it was never read."""
    if attack in calibrated(results):
        auc = QUANTITIES["auc"]
        return [Found(attack, with_shadows(results, attack), auc, least=auc.guess)]
    rates = columns.rates(results, attack)
    name = with_shadows(results, attack) if attack == STRONGEST else attack
    return [Found(attack, name, tpr(shown_rate(rates)), least=0)] if rates else []


def accuracy_under(robustness: str) -> Quantity:
    """The accuracy under an attack; natural accuracy if there is none."""
    if not robustness:
        return QUANTITIES["natural_accuracy"]
    accuracy = QUANTITIES["robust_accuracy"]
    return accuracy._replace(title=f"{accuracy.title} under {robustness}")


def points_of(results: dict[str, Any], what: Found, robustness: str) -> Points:
    """A panel's points; readings without both quantities are left out."""
    found, accuracy = [], accuracy_under(robustness)
    for reading in readings(results):
        x = accuracy.read(reading.figures, robustness)
        y = what.quantity.read(reading.figures, what.attack)
        if measured(x) and measured(y):
            over = f" {DAGGER}" if robustness in reading.overstated else ""
            at = (*ends(x, accuracy.scale), *ends(y, what.quantity.scale))
            point = labels.Point(reading.label + over, style.color(reading.place), *at)
            found.append((reading, point))
    return found


def _caption(results: dict[str, Any]) -> str:
    """What stands below the figure: only what is in it."""
    if results["attacks"].get("robustness"):
        text = "Privacy against accuracy under attack, with 95 % intervals. Right is more robust"
    else:
        text = (
            "Privacy against natural accuracy, with 95 % intervals; no attack on robustness was "
            "run. Right is more accurate"
        )
    text += ", low is more private; the dotted line is a guess."
    known, attacks = calibrated(results), results["attacks"].get("membership", {})
    if known and set(known) != set(attacks):
        text += " Attacks whose scores are probabilities are drawn by AUC, others by TPR."
    return text + hollow_marks(results)


BLOCK = Block(
    "privacy_robustness",
    figure=privacy_robustness_figure,
    caption=_caption,
    live=privacy_robustness_live,
)
