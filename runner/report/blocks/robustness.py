"""Whether robustness stands: worst cases over evasion attacks, and whether the attacks are sane."""

from collections.abc import Iterator
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from runner.report import style
from runner.report.blocks._block import Block
from runner.report.readings import INTERVAL, ArmFigures, readings
from runner.report.text import (
    DASH,
    Table,
    csv_of,
    headed,
    in_markdown,
    in_percent,
    significant,
    titled,
)

CHECKS = {  # of results.json, and what a column says of each
    "eps_monotone": "accuracy falls as eps grows",
    "chance_at_large_eps": "to chance at eps 1",
    "more_steps_not_weaker": "more steps are not weaker",
    "black_box_not_stronger": "Square is not stronger",
}
POINTS = ("at", "accuracy", "error")
COUNTED = ("only_first", "only_second", "num_images")
PANELS = {  # of a sanity block, and what it is drawn against
    "eps_monotone": "eps",
    "more_steps_not_weaker": "steps at the attack's own eps",
}
NUM_ERRORS = 2  # of the error bars
SQUARE: dict[str, Any] = {"marker": "*", "markersize": 9, "linestyle": "none"}


def sanity_figure(results: dict[str, Any]) -> Figure | None:
    """Return two panels with a line a reading: radii, the black box among them, and steps."""
    shown = [(reading, reading.figures.get("sanity")) for reading in readings(results)]
    shown = [(reading, sanity) for reading, sanity in shown if sanity]
    if not shown:
        return None
    figure, panels = style.panels(len(PANELS), len(PANELS), width=4.0, height=3.2)
    for axes, (check, told) in zip(panels, PANELS.items(), strict=True):
        for reading, sanity in shown:
            _line(axes, reading, sanity[check]["points"])
        _across(axes, [point["at"] for _, sanity in shown for point in sanity[check]["points"]])
        axes.set(xlabel=told, ylabel="accuracy (%)", ylim=(-4, 104))
    for reading, sanity in shown:
        panels[0].axhline(100 * sanity["chance_at_large_eps"]["chance"], **style.GUIDE)
        for point in sanity["black_box_not_stronger"]["points"]:
            if point["at"] == "square":
                color = style.color(reading.place)
                panels[0].plot(sanity["eps"], 100 * point["accuracy"], color=color, **SQUARE)
    lines = {
        reading.label: Line2D([], [], **style.stroke(reading.place, reading.averaged))
        for reading, _ in shown
    }
    others = {
        "Square, a black box": Line2D([], [], color=style.INK, **SQUARE),
        "chance": Line2D([], [], **style.GUIDE),
    }
    style.legend(figure, lines | others)
    return figure


def robustness_markdown(results: dict[str, Any]) -> str:
    """Return the tables, each with its notes; "" where nothing was measured."""
    parts = []
    for table in robustness_tables(results):
        first, *rest = map(in_markdown, table.notes)
        notes = "\n".join([first, *([""] if rest else []), *(f"- {note}" for note in rest)])
        parts.append(f"## {table.title}\n\n{headed(table.head, table.rows)}\n\n{notes}\n")
    if not parts:
        return ""
    return "\n".join([f"{titled(results, 'whether robustness stands')}\n", *parts])


def robustness_tables(results: dict[str, Any]) -> list[Table]:
    """Return the tables of worst cases, of pairs of attacks and of sanity that have rows."""
    tables = (_worst(results), _pairs(results), _sanity(results), _beside(results))
    return [table for table in tables if table.rows]


def robustness_csv(results: dict[str, Any]) -> str:
    """Return every number of these tables in full precision."""
    head = ("arm", "draws", "quantity", "eps", "attacks", *INTERVAL, *COUNTED, "verdict", *POINTS)
    return csv_of(head, _lines(results))


def _worst(results: dict[str, Any]) -> Table:
    rows, notes = [], []
    for reading, eps, worst in _each(results):
        figure = in_percent(worst["accuracy"], worst["accuracy"]["num_models"])
        models = str(worst["accuracy"]["num_models"])
        rows.append([reading.label, models, eps, ", ".join(worst["attacks"]), str(figure)])
        notes += [f"{reading.label}, eps {eps}: {note}" for note in worst["notes"]]
    head = ["arm", "models", "eps", "attacks", "worst case (%)"]
    told = "An image counts as robust if it withstands every attack in its ball."
    return Table("Worst case over attacks", head, rows, [told, *notes])


def _pairs(results: dict[str, Any]) -> Table:
    rows = []
    for reading, eps, worst in _each(results):
        for pair in worst["pairs"]:
            first, second = pair["attacks"]
            only = [f"{name}: {n:,}" for name, n in zip((first, second), pair["only"], strict=True)]
            gap = in_percent(pair["difference"], pair["difference"]["num_models"])
            counts = [*only, f"{pair['num_images']:,}"]
            rows.append([reading.label, eps, f"{first} - {second}", str(gap), *counts])
    head = ["arm", "eps", "robust accuracies", "difference (points)"]
    head += ["falls to the first alone", "falls to the second alone", "images"]
    told = "Images are counted over all models; each is one that the other attack leaves standing."
    return Table("Attacks compared", head, rows, [told])


def _sanity(results: dict[str, Any]) -> Table:
    rows = []
    for reading in readings(results):
        if sanity := reading.figures.get("sanity"):
            cells = [_verdict(sanity.get(check)) for check in CHECKS]
            size = [str(sanity["num_models"]), f"{sanity['num_images']:,}"]
            rows.append([reading.label, *size, *cells])
    told = (
        "The first PGD of the experiment, varied, on the first images of the first models. Beside "
        "a verdict: the largest rise of accuracy, in points, where it should not rise, and its "
        "standard error; above 0.5 points and two errors it fails, in between it is undecided."
    )
    head = ["arm", "models", "images", *CHECKS.values()]
    return Table("Whether the attacks are sane", head, rows, [told])


def _beside(results: dict[str, Any]) -> Table:
    rows = []
    for reading in readings(results):
        sanity = reading.figures.get("sanity") or {}
        for other in sanity.get("beside") or ():
            more = other["pgd_less"]
            cells = [f"{_points(other['accuracy'])} ± {_points(other['error'])}"]
            cells += [f"{_points(more['difference'], '+')} ± {_points(more['error'])}"]
            size = [str(sanity["num_models"]), f"{sanity['num_images']:,}"]
            rows.append([reading.label, other["at"], *size, *cells])
    told = (
        "Attacks on the first images of the first models alone, with the standard error over "
        "images; beside them by how much the accuracy under the first PGD is higher on these."
    )
    head = ["arm", "attack", "models", "images", "robust accuracy (%)", "PGD less this (points)"]
    return Table("Costly attacks on few models", head, rows, [told])


def _verdict(check: dict[str, Any] | None) -> str:
    if not check:
        return DASH
    if "chance" in check:
        (point,) = check["points"]
        reached = f"{_points(point['accuracy'])} ± {_points(point['error'])} %"
        return f"{check['verdict']}: {reached}, chance is {significant(100 * check['chance'], 3)} %"
    rise = max(check["rises"], key=lambda rise: rise["difference"])
    return f"{check['verdict']}: {_points(rise['difference'], '+')} ± {_points(rise['error'])}"


def _points(share: float, sign: str = "") -> str:
    return f"{round(100 * share, 1) + 0:{sign}.1f}"


def _each(results: dict[str, Any]) -> Iterator[tuple[ArmFigures, str, dict[str, Any]]]:
    """Every worst case, with its reading and its eps."""
    for reading in readings(results):
        for eps, worst in _worst_of(reading).items():
            yield reading, eps, worst


def _lines(results: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    """The lines of the CSV; cells at the end of one that has none of their kind are left out."""
    for reading in readings(results):
        own = (reading.arm, reading.draws)
        for eps, worst in _worst_of(reading).items():
            interval = [worst["accuracy"].get(key) for key in INTERVAL]
            yield (*own, "worst_case", eps, " ".join(worst["attacks"]), *interval)
            for pair in worst["pairs"]:
                interval = [pair["difference"].get(key) for key in INTERVAL]
                counts = (*pair["only"], pair["num_images"])
                yield (*own, "difference", eps, " ".join(pair["attacks"]), *interval, *counts)
        sanity = reading.figures.get("sanity") or {}
        for check in filter(sanity.get, CHECKS):
            for point in sanity[check]["points"]:
                blank = [None] * (len(INTERVAL) + len(COUNTED) - 1)
                values = [point[key] for key in POINTS]
                judged = (sanity["num_images"], sanity[check]["verdict"])
                yield (*own, check, sanity["eps"], None, *blank, *judged, *values)
        for other in sanity.get("beside") or ():
            blank = [None] * (len(INTERVAL) + len(COUNTED) - 1)
            values = [other[key] for key in POINTS]
            yield (*own, "beside", None, None, *blank, sanity["num_images"], None, *values)


def _worst_of(reading: ArmFigures) -> dict[str, dict[str, Any]]:
    return reading.figures.get("worst_case") or {}


def _line(axes: Axes, reading: ArmFigures, points: list[dict[str, Any]]) -> None:
    """Draw one reading's accuracies in percent, with bars of two standard errors."""
    mean = [100 * point["accuracy"] for point in points]
    reach = [100 * NUM_ERRORS * point["error"] for point in points]
    low = [max(m - r, 0.0) for m, r in zip(mean, reach, strict=True)]
    high = [min(m + r, 100.0) for m, r in zip(mean, reach, strict=True)]
    style.errorbar(
        axes,
        [point["at"] for point in points],
        (mean, low, high),
        **style.stroke(reading.place, reading.averaged),
    )


def _across(axes: Axes, at: list[float]) -> None:
    """Name the values on an axis that is logarithmic but has room for 0."""
    values = sorted(set(at))
    axes.set_xscale("symlog", linthresh=min((v for v in values if v), default=1.0))
    axes.set_xticks(values, [f"{value:.3g}" for value in values])
    axes.minorticks_off()


FIGURE = Block(
    "sanity",
    figure=sanity_figure,
    caption=lambda results: (
        "Whether the attacks can be believed: accuracy of the first models of each arm on few "
        "images, by radius and by number of steps, with two standard errors."
    ),
)
TABLES = Block(
    "robustness",
    "Whether robustness stands",
    markdown=robustness_markdown,
    csv=robustness_csv,
)
