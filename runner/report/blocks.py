"""Parts of the report that are there only where something of their kind was measured."""

from collections.abc import Callable
from typing import Any, NamedTuple

from markdown_it import MarkdownIt

from runner.report.comparison_tables import comparisons_csv, comparisons_markdown
from runner.report.epsilon_tables import epsilon_csv, epsilon_markdown
from runner.report.guards_markdown import guards_markdown
from runner.report.leakage_tables import leakage_csv, leakage_markdown
from runner.report.memorization_markdown import memorization_markdown
from runner.report.memorization_tables import memorization_csv
from runner.report.queries_figure import queries_markdown
from runner.report.robustness_markdown import robustness_markdown
from runner.report.robustness_tables import robustness_csv
from runner.report.vulnerable_tables import vulnerable_csv, vulnerable_markdown


class Block(NamedTuple):
    """One part: its heading on the page, and its Markdown, which opens with a title."""

    heading: str
    markdown: Callable[[dict[str, Any]], str | None]
    csv: Callable[[dict[str, Any]], str] | None = None  # the same in full precision


BLOCKS = {  # by the name of the file, without its ending
    "checks": Block("Checks before privacy figures are believed", guards_markdown),
    "leakage": Block("Low false positive rates, honestly", leakage_markdown, leakage_csv),
    "epsilon": Block("Lower bounds on epsilon", epsilon_markdown, epsilon_csv),
    "comparisons": Block("Differences between arms", comparisons_markdown, comparisons_csv),
    "robustness": Block("Robustness that stands", robustness_markdown, robustness_csv),
    "queries": Block("Membership by kind of query", queries_markdown),
    "memorization": Block(
        "Leakage and accuracy by memorization", memorization_markdown, memorization_csv
    ),
    "vulnerable": Block("Examples at risk", vulnerable_markdown, vulnerable_csv),
}


def files(results: dict[str, Any]) -> dict[str, str | None]:
    """Return the text of each part's files by their names; None where nothing was measured."""
    found: dict[str, str | None] = {}
    for name, block in BLOCKS.items():
        found[f"{name}.md"] = text = block.markdown(results) or None
        if block.csv:
            found[f"{name}.csv"] = block.csv(results) if text else None
    return found


def on_page(results: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Return the heading and the HTML of each part that has something to show, by its name."""
    reader = MarkdownIt("commonmark", {"html": False}).enable("table")
    found = {}
    for name, block in BLOCKS.items():
        if text := block.markdown(results):
            _, _, body = text.partition("\n")  # the title is the page's heading
            html = reader.render(body.replace("\n## ", "\n### "))
            scrolling = html.replace("<table>", '<div class="scroll"><table class="block">')
            html = scrolling.replace("</table>", "</table></div>")
            found[name] = (block.heading, html)
    return found
