"""What went wrong while the results were made, as the drivers told it."""

from typing import Any

from runner.report.blocks._block import Block, Files
from runner.report.html import rendered
from runner.report.text import headed, titled

HEAD = ["time (UTC)", "what"]
FEW = 10  # more of them are folded up


def events_html(results: dict[str, Any], files: Files) -> str:
    """Return the block of the page as HTML; empty for results of a version that kept no events."""
    known, rows = "events" in results, _rows(results)
    return rendered(
        "blocks/events.html.j2", known=known, rows=rows, head=HEAD, few=FEW, count=_count(rows)
    )


def events_markdown(results: dict[str, Any]) -> str | None:
    """Return the events as a table; None where there are none."""
    if not (rows := _rows(results)):
        return None
    return f"{titled(results, 'what happened')}\n\n{headed(HEAD, rows)}\n"


def events_in_short(results: dict[str, Any]) -> str:
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


BLOCK = Block("events", markdown=events_markdown, html=events_html)
