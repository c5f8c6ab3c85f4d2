"""Examples one by one: the rate, class and id of each, which the page lists where scripts run."""

import csv
import io
import math
from typing import Any

from runner.report import live
from runner.report.blocks._block import Block, Files
from runner.report.html import rendered
from runner.report.readings import with_shadows

MOST_CELLS = 6_000  # examples times arms: 150 kB of a page
OWN = {"id", "file"}
COUNTS = ("num_in", "flagged_in", "num_out", "flagged_out")


def examples_html(results: dict[str, Any], files: Files) -> str:
    """Return the list as data with its controls' place; "" where none may be listed.

    All that it shows of single examples is read from `examples.csv`, so it has the ids of that.
    """
    arms = {
        name: arm["vulnerable"] for name, arm in results["arms"].items() if arm.get("vulnerable")
    }
    rows = list(csv.DictReader(io.StringIO((files.get("listed.csv") or b"").decode())))
    if not arms or not rows or not all(f"{arm}.found_from" in rows[0] for arm in arms):
        return ""
    found = sorted(((row, _lowest(row, arms)) for row in rows), key=lambda one: one[1])
    shown = [row for row, lowest in found if math.isfinite(lowest)][: MOST_CELLS // len(arms)]
    if not shown:
        return ""
    ids = [column for column in rows[0] if "." not in column and column != "label"]
    if OWN & {*ids}:  # who has such a name is not looked for by a place
        ids = [column for column in ids if column != "place_in_pool"]
    first = next(iter(arms.values()))
    data = {
        "attack": with_shadows(results, first["attack"]),
        "rate": live.short(100 * first["false_positive_rate"]),
        "arms": [{"name": arm, **_of_arm(shown, arm)} for arm in arms],
        "ids": [{"name": name, "values": [row[name] for row in shown]} for name in ids],
        "labels": [row["label"] for row in shown],
    }
    return rendered("blocks/examples.html.j2", data=data, num=len(shown), all=len(rows))


def _of_arm(shown: list[dict[str, str]], arm: str) -> dict[str, list[float | None]]:
    """The columns of one arm; rates are in percent."""
    return {
        "found_from": [_number(row[f"{arm}.found_from"], 100) for row in shown],
        "memorization": [_number(row[f"{arm}.memorization"]) for row in shown],
        **{key: [_number(row[f"{arm}.{key}"]) for row in shown] for key in COUNTS},
    }


def _lowest(row: dict[str, str], arms: dict[str, Any]) -> float:
    """The lowest rate at which half of the models of an arm find an example."""
    rates = [_number(row[f"{arm}.found_from"]) for arm in arms]
    return min((rate for rate in rates if rate is not None), default=math.inf)


def _number(text: str, scale: float = 1) -> float | None:
    return live.short(scale * float(text)) if text else None


BLOCK = Block("examples", html=examples_html)
