"""The report as one HTML page that needs nothing beside itself."""

import base64
from pathlib import Path
from typing import Any

import jinja2

from runner.report import blocks, columns, lower_bounds, table, vulnerable_sheet
from runner.report.blocks import guarantees
from runner.report.blocks.checks import in_short
from runner.report.blocks.events import happened_html
from runner.report.captions import captions
from runner.report.html import inline, sheet
from runner.report.readings import Reading, by_draws, calibrated, every_figure, readings
from runner.report.shadows import shadows_told, with_shadows
from runner.report.text import bound, percent, printed

TEMPLATE = Path(__file__).with_name("page.html.j2")
# How details print a metric, by a part of its name: factor, digits, unit.
PRINTED = {
    "train_time_s": (1, 1, "s"),
    "auc": (1, 3, ""),
    "generalization_gap": (100, 2, "points"),
}
IN_PERCENT = (100, 2, "%")


def html(
    results: dict[str, Any],
    svgs: dict[str, str],
    samples: bytes | None = None,
    examples: dict[str, bytes | None] | None = None,
) -> str:
    """Return the page.

    Args:
        results: what results.json holds.
        svgs: each figure by name, as the text of an SVG file; "" leaves the figure out.
        samples: a PNG file of images that were judged.
        examples: files about single examples, by name.
    """
    about = {name: content for name, content in (examples or {}).items() if content}
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    shown = columns.main_columns(results)
    several = [reading.draws for reading in readings(results) if reading.averaged]
    return environment.from_string(TEMPLATE.read_text("utf-8")).render(
        results=results,
        style=sheet(),
        columns=shown,
        groups=columns.groups(shown),
        rows=columns.rows(results, shown),
        draws=by_draws(several[0]) if several else "",
        guarantees=guarantees.guarantees(results),
        bounds=lower_bounds.lower_bounds(results),
        bound_head=(lower_bounds.AT_LEAST, lower_bounds.MOST),
        bounds_note=lower_bounds.lower_bounds_note(results),
        decisions=_decisions(results),
        decisions_note=table.decisions_note(results),
        shadows={
            name: shadows_told(results, name) for name in results["attacks"].get("membership", {})
        },
        blocks=blocks.on_page(results),
        captions=captions(results),
        figures={name: inline(name, svg) for name, svg in svgs.items() if svg},
        samples=base64.b64encode(samples or b"").decode(),
        at_risk=base64.b64encode(about.get("examples.png", b"")).decode(),
        at_risk_told=vulnerable_sheet.alt(results),
        at_risk_tables=[name for name in about if not name.endswith(".png")],
        remarks=_remarks(results["arms"]),
        details={name: _details(results, name) for name in results["arms"]},
        recipes=_recipes(results["arms"]),
        checks=in_short(results),
        happened=happened_html(results),
        null=_null(results),
        tolerance=results["null_control"]["tolerance"],
        note=" ".join(columns.notes(results)),
        smallest=percent(float(f"{1 / max(results['data']['num_negatives'], 1):.2g}")),
    )


def _decisions(results: dict[str, Any]) -> dict[str, Any]:
    """Columns, groups and rows of precision and recall, by the calibrated attack."""
    found = {}
    for attack in calibrated(results):
        shown = columns.decision_columns(results, attack)
        parts = (shown, columns.groups(shown), columns.rows(results, shown))
        found[with_shadows(results, attack)] = parts
    return found


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


def _null(holder: dict[str, Any]) -> dict[str, Any] | None:
    """The null control of the results or of an arm, as the page shows it."""
    null = holder.get("null_control")
    return null and {"auc": printed(null["auc"], 1, 3, 0), "verdict": null["verdict"]}


def _details(results: dict[str, Any], name: str) -> dict[str, Any]:
    """Every figure of one arm by reading, and its null control."""
    arm = results["arms"][name]
    own = [reading for reading in readings(results) if reading.arm == name]
    figures = {by_draws(reading.draws): _figures(reading) for reading in own}
    return {"defense": arm.get("defense", ""), "figures": figures, "null": _null(arm)}


def _figures(reading: Reading) -> list[tuple[str, Any, str, int]]:
    """Every figure of a reading as (metric, text, unit, number of models)."""
    found = []
    for metric, figure in every_figure(reading.figures):
        kind, *_, last = metric.split("/")[0], metric.split("/")[-1]
        scale, digits, unit = PRINTED.get(last, IN_PERCENT)
        overstated = kind == "robust_accuracy" and last in reading.overstated
        num_models = figure["num_models"]
        if last == "epsilon_lower_bound":
            text = bound(figure)
        else:
            text = printed(figure, scale, digits, num_models, overstated)
        found.append((metric, text, unit, num_models))
    return found
