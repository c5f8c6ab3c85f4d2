"""The report as one HTML page that needs nothing beside itself."""

import re
from typing import Any

from runner.report import blocks, columns
from runner.report.blocks.checks import checks_in_short
from runner.report.blocks.verdict import verdict_html
from runner.report.contents import with_contents
from runner.report.html import policy, rendered, script, sheet
from runner.report.main_table import by_arms, by_attacks
from runner.report.quantities import every_quantity
from runner.report.readings import ArmFigures, by_draws, readings
from runner.report.text import Printed

PRINTED = (
    "reading",
    "figures",
    "checks",
    "untried",
    "provenance",
)  # what print has of the parts below the table


def html(
    results: dict[str, Any],
    svgs: dict[str, str],
    samples: bytes | None = None,
    examples: dict[str, bytes | None] | None = None,
    listed: bool = False,
) -> str:
    """Return the page.

    Args:
        results: what results.json holds.
        svgs: each figure by name, as the text of an SVG file; "" leaves the figure out.
        samples: a PNG file of images that were judged.
        examples: files about single examples, by name.
        listed: whether it may list single examples.
    """
    also = {"samples.png": samples, **(examples or {})}
    also["listed.csv"] = also.get("examples.csv") if listed else None
    shown, attacks, code = columns.main_columns(results), by_attacks(results), script()
    alone = len(results["arms"]) == 1 and attacks is not None
    if alone:
        shown = [column for column in shown if column.quantity.of != "membership"]
    page = rendered(
        "page.html.j2",
        results=results,
        verdict=verdict_html(results),
        style=sheet(),
        script=code,
        policy=policy(code),
        main=by_arms(results, shown),
        attacks=attacks,
        alone=alone,
        note=" ".join(columns.notes(results)),
        checks=checks_in_short(results),
        remarks=_remarks(results["arms"]),
        parts=[(part, _is_short(part)) for part in blocks.on_page(results, svgs, also)],
        details={name: _details(results, name) for name in results["arms"]},
        recipes=_recipes(results["arms"]),
    )
    return with_contents(page)


def _is_short(part: str) -> bool:
    """Whether a part of the page is printed too, by the id of its heading."""
    heading = re.search(r'<h2 id="([^"]+)"', part)
    return heading is not None and heading[1] in PRINTED


def _remarks(arms: dict[str, Any]) -> list[tuple[list[str], list[str]]]:
    """What to know of arms, and of which: those of which the same is said stand together."""
    found: list[tuple[list[str], list[str]]] = []
    for name, arm in arms.items():
        sentences = arm.get("remarks") or []
        alike = [names for said, names in found if said == sentences]
        if alike:
            alike[0].append(name)
        elif sentences:
            found.append((sentences, [name]))
    return found


def _recipes(arms: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Each arm's model and training; once, under "", where all arms share them."""
    recipes = {name: arm["recipe"] for name, arm in arms.items()}
    first, *others = recipes.values()
    return {"": first} if all(other == first for other in others) else recipes


def _details(results: dict[str, Any], name: str) -> dict[str, Any]:
    """Every figure of one arm by reading."""
    own = [reading for reading in readings(results) if reading.arm == name]
    figures = {by_draws(reading.draws): _figures(reading) for reading in own}
    return {"defense": results["arms"][name].get("defense", ""), "figures": figures}


def _figures(reading: ArmFigures) -> list[tuple[str, Printed, str, int | str]]:
    """Every figure of a reading as (metric, text, unit, number of models or "")."""
    overstated = {f"robust_accuracy/{attack}" for attack in reading.overstated}
    return [
        (
            metric,
            one.in_detail(figure, metric in overstated),
            one.unit,
            figure.get("num_models", ""),
        )
        for metric, (one, figure) in every_quantity(reading.figures).items()
    ]
