"""Worst cases over evasion attacks, and whether the attacks are sane, as tables of text."""

import csv
import io
from collections.abc import Iterator
from typing import Any, NamedTuple

from runner.report.readings import INTERVAL, Reading, readings
from runner.report.text import DASH, printed, significant

CHECKS = {  # of results.json, and what a column says of each
    "eps_monotone": "accuracy falls as eps grows",
    "chance_at_large_eps": "to chance at eps 1",
    "more_steps_not_weaker": "more steps are not weaker",
    "black_box_not_stronger": "Square is not stronger",
}
POINTS = ("at", "accuracy", "error")


class Table(NamedTuple):
    """A table as text, and the sentences that stand below it."""

    title: str
    head: list[str]
    rows: list[list[str]]
    notes: list[str]


def robustness_tables(results: dict[str, Any]) -> list[Table]:
    """Return the tables of worst cases, of pairs of attacks and of sanity that have rows."""
    return [table for table in (_worst(results), _pairs(results), _sanity(results)) if table.rows]


def robustness_csv(results: dict[str, Any]) -> str:
    """Return every number of these tables in full precision."""
    text = io.StringIO()
    write = csv.writer(text, lineterminator="\n").writerow
    counted = ("only_first", "only_second", "num_images")
    write(("arm", "draws", "quantity", "eps", "attacks", *INTERVAL, *counted, "verdict", *POINTS))
    for reading in readings(results):
        own = (reading.arm, reading.draws)
        for eps, worst in _worst_of(reading).items():
            interval = [worst["accuracy"].get(key) for key in INTERVAL]
            write((*own, "worst_case", eps, " ".join(worst["attacks"]), *interval))
            for pair in worst["pairs"]:
                interval = [pair["difference"].get(key) for key in INTERVAL]
                counts = (*pair["only"], pair["num_images"])
                write((*own, "difference", eps, " ".join(pair["attacks"]), *interval, *counts))
        sanity = reading.figures.get("sanity") or {}
        for check in filter(sanity.get, CHECKS):
            for point in sanity[check]["points"]:
                blank = [None] * (len(INTERVAL) + len(counted) - 1)
                values = [point[key] for key in POINTS]
                judged = (sanity["num_images"], sanity[check]["verdict"])
                write((*own, check, sanity["eps"], None, *blank, *judged, *values))
    return text.getvalue()


def _worst(results: dict[str, Any]) -> Table:
    rows, notes = [], []
    for reading, eps, worst in _each(results):
        figure = printed(worst["accuracy"], 100, 1, worst["accuracy"]["num_models"])
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
            gap = printed(pair["difference"], 100, 1, pair["difference"]["num_models"])
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


def _each(results: dict[str, Any]) -> Iterator[tuple[Reading, str, dict[str, Any]]]:
    """Every worst case, with its reading and its eps."""
    for reading in readings(results):
        for eps, worst in _worst_of(reading).items():
            yield reading, eps, worst


def _worst_of(reading: Reading) -> dict[str, dict[str, Any]]:
    return reading.figures.get("worst_case") or {}
