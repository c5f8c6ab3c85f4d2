"""What a block of the report is, and how its Markdown stands on the page."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from markdown_it import MarkdownIt
from matplotlib.figure import Figure

from runner.report.html import rendered

Results = dict[str, Any]  # what results.json holds
Files = Mapping[str, bytes | None]  # pictures and tables that are made beside the report, by name

MOST_ROWS = 12  # of a table that stands open on the page


class Block(NamedTuple):
    """One part of the report. It is left out where it has nothing to show: None, or empty text.

    A figure and a table of the same are two blocks of one file: figures stand together on the page.
    """

    name: str  # of its files, and of its place on the page
    heading: str = ""  # above its Markdown, on the page
    markdown: Callable[[Results], str | None] | None = None  # NAME.md; it opens with a title
    csv: Callable[[Results], str] | None = None  # NAME.csv: the same in full precision
    html: Callable[[Results, Files], str] | None = None  # on the page, in place of its Markdown
    figure: Callable[[Results], Figure | None] | None = None  # NAME.svg and NAME.pdf
    caption: Callable[[Results], str] | None = None  # what stands below the figure
    # What the page draws in the figure's place where scripts run: see runner/report/live.py.
    live: Callable[[Results], dict[str, Any] | None] | None = None

    def on_page(self, results: Results, files: Files) -> str:
        """Return the block as HTML; the figure of a block stands with all the others."""
        if self.html:
            return self.html(results, files)
        text = self.markdown(results) if self.markdown else None
        return as_html(self.name, self.heading, text, self.csv is not None) if text else ""


def as_html(
    name: str, heading: str, text: str, csv: bool, picture: str = "", also: Sequence[str] = ()
) -> str:
    """Return a block's Markdown as HTML under its heading, and where the same lies as files.

    A table of more than MOST_ROWS rows is folded up, and print leaves it out.

    Args:
        text: its first line is a title, in whose place the page has the heading.
        csv: whether there is a CSV file.
        picture: HTML that stands below.
        also: further files of the report, which have every example.
    """
    reader = MarkdownIt("commonmark", {"html": False}).enable("table")
    _, _, body = text.partition("\n")
    html = reader.render(body.replace("\n## ", "\n### "))
    html = re.sub("<table>.*?</table>", _in_its_place, html, flags=re.DOTALL)
    given = {"name": name, "heading": heading, "html": html, "csv": csv}
    return rendered("blocks/_block.html.j2", **given, picture=picture, also=also)


def _in_its_place(table: re.Match[str]) -> str:
    """A table that is scrolled sideways where it is wide, and folded up where it is long."""
    num_rows = table[0].count("<tr>") - 1
    wide = table[0].replace("<table>", '<table class="block">')
    box = f'<div class="scroll">{wide}</div>'
    if num_rows <= MOST_ROWS:
        return box
    return f"<details><summary>The table: {num_rows} rows</summary>\n{box}\n</details>"
