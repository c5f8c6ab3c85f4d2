"""The report as one HTML page that needs nothing beside itself."""

import re
from pathlib import Path
from typing import Any

import jinja2

from runner.report import columns, style

TEMPLATE = Path(__file__).with_name("page.html.j2")
# How details print a metric, by the last part of its name: factor, digits, unit.
PRINTED = {"train_time_s": (1, 1, "s"), "auc": (1, 3, "")}
IN_PERCENT = (100, 2, "%")


def html(results: dict[str, Any], svgs: dict[str, str]) -> str:
    """Return the page.

    Args:
        results: what results.json holds.
        svgs: each figure by name, as the text of an SVG file; "" leaves the figure out.
    """
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    shown = columns.main_columns(results)
    return environment.from_string(TEMPLATE.read_text("utf-8")).render(
        results=results,
        columns=shown,
        groups=columns.groups(shown),
        rows=columns.rows(results, shown),
        figures={name: _inline(name, svg) for name, svg in svgs.items() if svg},
        details={name: _details(arm) for name, arm in results["arms"].items()},
        recipes=_recipes(results["arms"]),
        null=_null(results),
        tolerance=results["null_control"]["tolerance"],
        note=" ".join(columns.notes(results)),
        smallest=columns.percent(float(f"{1 / max(results['data']['num_negatives'], 1):.2g}")),
    )


def _recipes(arms: dict[str, columns.Arm]) -> dict[str, dict[str, str]]:
    """Each arm's model and training; once, under "", where all arms share them."""
    recipes = {name: arm["recipe"] for name, arm in arms.items()}
    first, *others = recipes.values()
    return {"": first} if all(other == first for other in others) else recipes


def _null(holder: dict[str, Any]) -> dict[str, Any] | None:
    """The null control of the results or of an arm, as the page shows it."""
    null = holder.get("null_control")
    return null and {"auc": columns.printed(null["auc"], 1, 3, 0), "verdict": null["verdict"]}


def _details(arm: columns.Arm) -> dict[str, Any]:
    """Every figure of one arm as (metric, text, unit, number of models), and its null control."""
    figures = []
    for metric, figure in columns.every_figure(arm):
        scale, digits, unit = PRINTED.get(metric.split("/")[-1], IN_PERCENT)
        num_models = figure["num_models"]
        text = columns.printed(figure, scale, digits, num_models)
        figures.append((metric, text, unit, num_models))
    return {"defense": arm.get("defense", ""), "figures": figures, "null": _null(arm)}


def _inline(name: str, svg: str) -> str:
    """Return an SVG to stand in the page: its ids its own, its ink and paper those of the page."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'(url\(#|href="#)', rf"\g<1>{name}-", svg)
    svg = re.sub(r"<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)  # it follows the width
    for ink, variable in ((style.INK, "ink"), (style.FAINT, "faint"), (style.PAPER, "paper")):
        svg = svg.replace(ink, f"var(--{variable})")
    return svg
