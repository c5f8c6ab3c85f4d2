"""The report as one HTML page that needs nothing beside itself."""

import re
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from runner.report import columns, style

TEMPLATE = Path(__file__).with_name("page.html.j2")
NULL_REACH = 0.02  # how far from 0.5 the AUC of a null control may lie
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
    overall = (results.get("null_control") or {}).get("auc")
    return environment.from_string(TEMPLATE.read_text("utf-8")).render(
        results=results,
        columns=shown,
        groups=columns.groups(shown),
        rows=columns.rows(results, shown),
        figures={name: _inline(name, svg) for name, svg in svgs.items() if svg},
        details={name: _details(arm) for name, arm in results["arms"].items()},
        null=overall and _null(overall),
        note=columns.NOTE,
        smallest=columns.percent(float(f"{1 / max(results['data']['num_negatives'], 1):.2g}")),
    )


def null_verdict(auc: columns.Figure) -> str:
    """Return "pass", "fail" or "undecided" for the AUC of an attack on random membership.

    It passes when its whole interval is within 0.50 +- 0.02, fails when none of it is, and is
    undecided in between, where more models would tell.
    """
    low, high = auc.get("low"), auc.get("high")
    if not columns.finite(low) or not columns.finite(high):
        return "undecided"
    if low >= 0.5 - NULL_REACH and high <= 0.5 + NULL_REACH:
        return "pass"
    return "fail" if high < 0.5 - NULL_REACH or low > 0.5 + NULL_REACH else "undecided"


def _null(auc: columns.Figure) -> dict[str, Any]:
    """A null control as the page shows it."""
    return {"auc": columns.printed(auc, 1, 3, 0), "verdict": null_verdict(auc)}


def _details(arm: columns.Arm) -> dict[str, Any]:
    """Every figure of one arm as (metric, text, unit, number of models), and its null control."""
    figures = []
    for metric, figure in columns.every_figure(arm):
        scale, digits, unit = PRINTED.get(metric.split("/")[-1], IN_PERCENT)
        num_models = figure["num_models"]
        text = columns.printed(figure, scale, digits, num_models)
        figures.append((metric, text, unit, num_models))
    null = (arm.get("null_control") or {}).get("auc")
    return {"defense": arm.get("defense", ""), "figures": figures, "null": null and _null(null)}


def _inline(name: str, svg: str) -> Markup:
    """Return an SVG to stand in the page: its ids its own, its ink and paper those of the page."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'(url\(#|href="#)', rf"\g<1>{name}-", svg)
    svg = re.sub(r"<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)  # it follows the width
    for ink, variable in ((style.INK, "ink"), (style.FAINT, "faint"), (style.PAPER, "paper")):
        svg = svg.replace(ink, f"var(--{variable})")
    return Markup(svg)
