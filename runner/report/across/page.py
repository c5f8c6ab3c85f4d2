"""The page of several experiments beside each other, with its tables and its figure as files."""

import json

import matplotlib

from runner.report import columns, style
from runner.report.across import tables
from runner.report.across.figure import CAPTION, across_figure
from runner.report.across.tables import Compared
from runner.report.html import inline, rendered, sheet
from runner.storage.cloud import Folder
from runner.storage.store import fill

FIGURE = "privacy_accuracy"


def write_comparison(compared: Compared, folder: Folder) -> Folder:
    """Write the page, the tables and the figure; return the path of index.html.

    Args:
        compared: what compared.json holds.
        folder: made if it is not there; files of these names are written over, others left alone.
    """
    with matplotlib.rc_context(style.RC):
        drawn = {FIGURE: across_figure(tables.in_short(compared))}
    files: dict[str, bytes | None] = {
        "compared.json": (json.dumps(compared, indent=1) + "\n").encode(),
        "table.csv": tables.figures_csv(compared).encode(),
        "differences.csv": tables.differences_csv(compared).encode(),
        "differing.csv": tables.differing_csv(compared).encode(),
    }
    files |= style.forms(drawn)
    svg = (files[f"{FIGURE}.svg"] or b"").decode()
    files["index.html"] = comparison_html(compared, svg).encode()
    fill(folder, files)
    return folder / "index.html"


def comparison_html(compared: Compared, svg: str) -> str:
    """Return the page; `svg` is the figure as the text of an SVG file, or ""."""
    short = tables.in_short(compared)
    shown = columns.main_columns(short)
    return rendered(
        "across/page.html.j2",
        compared=compared,
        style=sheet(),
        columns=shown,
        groups=columns.groups(shown),
        rows=columns.rows(short, shown),
        note=" ".join(tables.below_table(compared)),
        figure=inline(FIGURE, svg) if svg else "",
        caption=CAPTION,
        differences=[
            (tables.title(one), tables.difference_rows(compared, one), tables.told(compared, one))
            for one in compared["comparisons"]
        ],
        chance=tables.chance_note(compared),
        differing=tables.differing_rows(compared),
    )
