"""What a membership attack finds by natural queries, by adversarial ones, and by both together."""

import re
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from runner.report import columns, style
from runner.report.blocks._block import Block
from runner.report.quantities import QUANTITIES, Quantity, shown_rate, tpr
from runner.report.readings import ArmFigures, ends, measured, membership, readings
from runner.report.text import headed, titled

KINDS = {"natural": "natural queries", "adversarial": "adversarial queries", "both": "both"}
MARKERS = {"natural": "o", "adversarial": "^", "both": "D"}
APART = 0.2  # between marks of one arm, where arms are 1 apart
SHORT = 9  # letters of an arm's name that stand beside others without being turned
Family = dict[str, str]  # an attack by each kind of queries; they differ in their views alone


def queries_figure(results: dict[str, Any]) -> Figure | None:
    """Return two panels, TPR at a small FPR and AUC, for attacks that differ in their views alone.

    A mark for each arm, by one draw of its noise, and each kind of queries. None unless an attack
    is read by natural and by adversarial queries. Source: Song, Shokri and Mittal (2019),
    https://arxiv.org/abs/1905.10291.
    """
    cells = [(family, what) for family in families(results) for what in _shown(results, family)]
    arms = _arms(results)
    if not cells or not arms:
        return None
    num_across = 2 if len(cells) > 1 else 1
    figure, panels = style.panels(len(cells), num_across, max(3.6, 0.7 * len(arms)), height=3.4)
    for axes, (family, what) in zip(panels, cells, strict=True):
        _panel(axes, arms, family, what)
    marks = {
        told: Line2D([], [], linewidth=0, **_look(kind))
        for kind, told in KINDS.items()
        if any(kind in family for family in families(results))
    }
    chance = Line2D([], [], **style.GUIDE)
    style.legend(figure, {**marks, "chance": chance})
    return figure


def queries_markdown(results: dict[str, Any]) -> str | None:
    """Return a table of each arm by each kind of queries; None where there is no figure."""
    parts = []
    for family in families(results):
        shown = _shown(results, family)
        rows = [
            [arm.label, KINDS[kind], attack, *_cells(arm, attack, shown)]
            for arm in _arms(results)
            for kind, attack in family.items()
        ]
        if rows:
            parts.append(headed(["arm", "queries", "attack", *(w.header for w in shown)], rows))
    if not parts:
        return None
    title = titled(results, "natural and adversarial queries")
    return "\n\n".join([title, *parts, "Mean over models with its 95 % interval."]) + "\n"


def families(results: dict[str, Any]) -> list[Family]:
    """Return attacks that differ in their views alone, by kind; the first of each kind counts.

    Families without natural or without adversarial queries are left out.
    """
    views = results["attacks"].get("views") or {}
    adversarial: set[str] = set(results["attacks"].get("adversarial") or ())
    found: dict[str, Family] = {}
    for attack, text in results["attacks"].get("membership", {}).items():
        if attack in views:
            alike = re.sub(r"views \[[^]]*\](, )?", "", text).removesuffix("()")
            found.setdefault(alike, {}).setdefault(_kind(views[attack], adversarial), attack)
    in_order = [{k: family[k] for k in KINDS if k in family} for family in found.values()]
    return [family for family in in_order if {"natural", "adversarial"} <= set(family)]


def _kind(views: list[str], adversarial: set[str]) -> str:
    if not adversarial & set(views):
        return "natural"
    return "adversarial" if adversarial >= set(views) else "both"


def _shown(results: dict[str, Any], family: Family) -> list[Quantity]:
    """AUC, and TPR at a rate that all have, chosen as for privacy and robustness."""
    rates = [set(columns.rates(results, attack)) for attack in family.values()]
    shared = set.intersection(*rates)
    return [*([tpr(shown_rate(shared))] if shared else []), QUANTITIES["auc"]]


def _arms(results: dict[str, Any]) -> list[ArmFigures]:
    """Each arm by one draw, if any attack of a family was read on it."""
    attacks = {attack for family in families(results) for attack in family.values()}
    return [
        reading
        for reading in readings(results)
        if not reading.averaged and any(membership(reading.figures, a) for a in attacks)
    ]


def _cells(arm: ArmFigures, attack: str, shown: list[Quantity]) -> list[str]:
    """The figures of one row."""
    figures = [quantity.read(arm.figures, attack) for quantity in shown]
    most = max((figure["num_models"] for figure in figures if figure), default=0)
    pairs = zip(figures, shown, strict=True)
    return [str(quantity.printed(figure, most)) for figure, quantity in pairs]


def _panel(axes: Axes, arms: list[ArmFigures], family: Family, what: Quantity) -> None:
    """Draw one quantity: arms across, the kinds of queries beside each other."""
    for i, (kind, attack) in enumerate(family.items()):
        shift = APART * (i - (len(family) - 1) / 2)
        figures = [what.read(arm.figures, attack) for arm in arms]
        known = [
            (place + shift, ends(figure, what.scale))
            for place, figure in enumerate(figures)
            if measured(figure)
        ]
        if known:
            at, y = zip(*known, strict=True)
            style.errorbar(axes, at, list(zip(*y, strict=True)), linestyle="none", **_look(kind))
    axes.axhline(what.guess, **style.GUIDE)
    names = [style.plain(arm.arm) for arm in arms]
    turned = max(map(len, names)) > SHORT
    look: Any = {"rotation": 25, "ha": "right", "rotation_mode": "anchor"} if turned else {}
    axes.set_xticks(range(len(arms)), names, **look)
    axes.set_xlim(-0.5, len(arms) - 0.5)
    axes.grid(visible=False, axis="x")
    axes.set_ylabel(what.header)
    axes.set_title(style.plain(" / ".join(family.values())), fontsize=8)


def _look(kind: str) -> dict[str, Any]:
    """The colour and the mark of a kind of queries."""
    return {
        "color": style.color(list(KINDS).index(kind)),
        "marker": MARKERS[kind],
        "markersize": 5.5,
    }


FIGURE = Block(
    "queries",
    figure=queries_figure,
    caption=lambda results: (
        "LiRA on the images as they are, as an attack moves them against the model that is asked, "
        "and on both together, with 95 % intervals; the dotted line is a guess."
    ),
)
TABLE = Block("queries", "Membership by kind of query", markdown=queries_markdown)
