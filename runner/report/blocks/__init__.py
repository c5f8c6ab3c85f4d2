"""Parts of the report that are there only where something of their kind was measured."""

from collections.abc import Callable
from typing import Any, NamedTuple

from markdown_it import MarkdownIt

from runner.report.blocks.checks import guards_markdown
from runner.report.blocks.comparisons import comparisons_csv, comparisons_markdown
from runner.report.blocks.epsilon import epsilon_csv, epsilon_markdown
from runner.report.blocks.leakage import leakage_csv, leakage_markdown
from runner.report.blocks.memorization import memorization_csv
from runner.report.blocks.queries import queries_markdown
from runner.report.blocks.robustness import robustness_csv
from runner.report.blocks.vulnerable import vulnerable_csv, vulnerable_markdown
from runner.report.memorization_markdown import memorization_markdown
from runner.report.robustness_markdown import robustness_markdown


class Block(NamedTuple):
    """One part: its heading on the page, and its Markdown, which opens with a title."""

    heading: str
    markdown: Callable[[dict[str, Any]], str | None]
    csv: Callable[[dict[str, Any]], str] | None = None  # the same in full precision


class Shown(NamedTuple):
    """One part as the page has it: its heading, its HTML, and whether it has a CSV file."""

    heading: str
    html: str
    csv: bool


BLOCKS = {  # by the name of the file, without its ending, in the page's order
    "epsilon": Block("Lower bounds on epsilon", epsilon_markdown, epsilon_csv),
    "comparisons": Block("Differences between arms", comparisons_markdown, comparisons_csv),
    "leakage": Block("Low false positive rates", leakage_markdown, leakage_csv),
    "vulnerable": Block("Examples at risk", vulnerable_markdown, vulnerable_csv),
    "memorization": Block(
        "Leakage and accuracy by memorization", memorization_markdown, memorization_csv
    ),
    "queries": Block("Membership by kind of query", queries_markdown),
    "robustness": Block("Whether robustness stands", robustness_markdown, robustness_csv),
    "checks": Block("Checks", guards_markdown),
}


def files(results: dict[str, Any]) -> dict[str, str | None]:
    """Return the text of each part's files by their names; None where nothing was measured."""
    found: dict[str, str | None] = {}
    for name, block in BLOCKS.items():
        found[f"{name}.md"] = text = block.markdown(results) or None
        if block.csv:
            found[f"{name}.csv"] = block.csv(results) if text else None
    return found


def on_page(results: dict[str, Any]) -> dict[str, Shown]:
    """Return each part that has something to show, by its name."""
    reader = MarkdownIt("commonmark", {"html": False}).enable("table")
    found = {}
    for name, block in BLOCKS.items():
        if text := block.markdown(results):
            _, _, body = text.partition("\n")  # the title is the page's heading
            html = reader.render(body.replace("\n## ", "\n### "))
            scrolling = html.replace("<table>", '<div class="scroll"><table class="block">')
            html = scrolling.replace("</table>", "</table></div>")
            found[name] = Shown(block.heading, html, block.csv is not None)
    return found
