"""What went wrong while the results were made, as the drivers told it."""

from pathlib import Path
from typing import Any

import jinja2

from runner.report.markdown import headed, in_markdown

TEMPLATE = Path(__file__).with_name("events.html.j2")
HEAD = ["time (UTC)", "what"]
FEW = 10  # more of them are folded up


def happened_html(results: dict[str, Any]) -> str:
    """Return the block of the page as HTML; empty for results of a version that kept no events."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(TEMPLATE.read_text("utf-8"))
    known, rows = "events" in results, _rows(results)
    return template.render(known=known, rows=rows, head=HEAD, few=FEW, count=_count(rows))


def happened_markdown(results: dict[str, Any]) -> str | None:
    """Return the events as a table; None where there are none."""
    if not (rows := _rows(results)):
        return None
    name = results.get("experiment") or results["sweep"]
    return f"# {in_markdown(name)}: what happened\n\n{headed(HEAD, rows)}\n"


def in_short(results: dict[str, Any]) -> str:
    """Return how many events there are, and the last one; "" where there are none."""
    if not (rows := _rows(results)):
        return ""
    at, text = rows[-1]
    verb = "is" if len(rows) == 1 else "are"
    return f"{_count(rows)} {verb} in the report; the last was, at {at} UTC: {text}"


def _rows(results: dict[str, Any]) -> list[list[str]]:
    return [[one["at"][:19].replace("T", " "), one["text"]] for one in results.get("events") or []]


def _count(rows: list[list[str]]) -> str:
    return f"{len(rows)} {'event' if len(rows) == 1 else 'events'}"
