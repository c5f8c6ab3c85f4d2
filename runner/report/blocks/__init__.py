"""The blocks of the report, and what all of them come to: figures, files, HTML.

Each is a file here. Where a figure stands apart from the tables of the same, the file has two.
"""

from itertools import groupby
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from runner.report import style
from runner.report.blocks import (
    against,
    checks,
    comparisons,
    epsilon,
    events,
    examples,
    guarantees,
    how_to_read,
    leakage,
    memorization,
    privacy_robustness,
    provenance,
    queries,
    robustness,
    roc,
    samples,
    strongest,
    thresholds,
    untried,
    vulnerable,
)
from runner.report.blocks._block import Block, Files
from runner.report.html import inline, rendered

BLOCKS: tuple[Block, ...] = (  # from the top of the page, which begins with the main table
    strongest.BLOCK,
    guarantees.BLOCK,
    thresholds.TABLES,
    how_to_read.BLOCK,
    privacy_robustness.BLOCK,
    robustness.FIGURE,
    queries.FIGURE,
    memorization.FIGURE,
    against.BLOCK,
    thresholds.FIGURE,
    roc.LOGARITHMIC,
    roc.LINEAR,
    epsilon.BLOCK,
    comparisons.BLOCK,
    leakage.BLOCK,
    vulnerable.BLOCK,
    examples.BLOCK,
    memorization.TABLES,
    queries.TABLE,
    robustness.TABLES,
    checks.BLOCK,
    untried.BLOCK,
    samples.BLOCK,
    events.BLOCK,
    provenance.BLOCK,
)


def draw(results: dict[str, Any]) -> dict[str, Figure | None]:
    """Return each figure by the name of its file; None where there is nothing to draw."""
    with matplotlib.rc_context(style.RC):
        return {block.name: block.figure(results) for block in BLOCKS if block.figure}


def captions(results: dict[str, Any]) -> dict[str, str]:
    """Return the text below each figure, by the name of its file."""
    return {block.name: block.caption(results) for block in BLOCKS if block.caption}


def files(results: dict[str, Any]) -> dict[str, str | None]:
    """Return the text of each block's files by their names; None where nothing was measured."""
    found: dict[str, str | None] = {}
    for block in BLOCKS:
        if block.markdown:
            found[f"{block.name}.md"] = text = block.markdown(results) or None
            if block.csv:
                found[f"{block.name}.csv"] = block.csv(results) if text else None
    return found


def on_page(results: dict[str, Any], svgs: dict[str, str], also: Files) -> list[str]:
    """Return what the page shows below its main table, as HTML; figures share one heading.

    Args:
        svgs: each figure by name, as the text of an SVG file; "" leaves the figure out.
        also: pictures and tables that were made beside the report, by name.
    """
    told, parts = captions(results), []
    for drawn, run in groupby(BLOCKS, key=lambda block: block.figure is not None):
        if drawn:
            figures = [
                (block.name, inline(block.name, svgs[block.name]), told[block.name], live)
                for block in run
                if svgs.get(block.name)
                for live in [block.live(results) if block.live else None]
            ]
            html = rendered("blocks/_figures.html.j2", figures=figures).rstrip("\n")
            parts.append(html if figures else "")
        else:
            parts += [block.on_page(results, also) for block in run]
    return [part for part in parts if part]
