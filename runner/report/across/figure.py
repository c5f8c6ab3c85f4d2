"""Privacy against accuracy, natural and robust: a point an arm of each experiment."""

from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from runner.report import labels, style
from runner.report.blocks.privacy_robustness import Found, accuracy_under, panel, points_of
from runner.report.columns import rates
from runner.report.quantities import QUANTITIES, tpr
from runner.report.readings import STRONGEST, attacks_of, readings

CAPTION = (
    "What the strongest attack finds against natural accuracy and accuracy under attack, with 95 % "
    "intervals. Right is more accurate, low is more private; the dotted line is a guess."
)


def across_figure(compared: dict[str, Any]) -> Figure | None:
    """Return a panel an accuracy; None where no arm has a membership figure.

    Privacy is the TPR at the smallest FPR that every experiment resolves, and the AUC beside it:
    an experiment with few non-members would else be missing.
    """
    attack = next(iter(attacks_of(compared)), "")
    name = "strongest attack" if attack == STRONGEST else attack
    ways = [Found(attack, name, QUANTITIES["auc"], least=0.5)]
    shared = [at for at in rates(compared, attack) if at and _everywhere(compared, attack, at)]
    ways += [Found(attack, name, tpr(at), least=0) for at in shared[:1]]
    found = [
        (what, robust, points)
        for what in ways
        for robust in ("", *compared["attacks"]["robustness"])
        if (points := points_of(compared, what, robust))
    ]
    if not found:
        return None
    across = len(found) // len(ways) if len(found) % len(ways) == 0 else 2
    figure, panels = style.panels(len(found), max(across, 1), width=4.6, height=3.8)
    for axes, (what, robust, points) in zip(panels, found, strict=True):
        panel(axes, points, what)
        axes.set_xlabel(style.plain(accuracy_under(robust).header))
        axes.set_ylabel(style.plain(f"{what.name}: {what.quantity.header}"))
        axes.set_title("lower right is better", loc="right", fontsize=8)
    placed = {axes: [p for _, p in one[-1]] for axes, one in zip(panels, found, strict=True)}
    if not labels.place(figure, placed):
        marks = {
            r.label: Line2D([], [], linewidth=0, **style.mark(r.place, r.averaged))
            for r in readings(compared)
        }
        style.legend(figure, marks)
    return figure


def _everywhere(compared: dict[str, Any], attack: str, at: float) -> bool:
    """Whether each arm that the attack judged has its TPR at this FPR."""
    every = [r.figures for r in readings(compared) if QUANTITIES["auc"].read(r.figures, attack)]
    return all(tpr(at).read(figures, attack) for figures in every)
