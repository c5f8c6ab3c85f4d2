"""Worst cases and sanity of the evasion attacks in Markdown."""

from typing import Any

from runner.report.blocks.robustness import robustness_tables
from runner.report.markdown import headed, in_markdown


def robustness_markdown(results: dict[str, Any]) -> str:
    """Return the tables, each with its notes; "" where nothing was measured."""
    parts = []
    for table in robustness_tables(results):
        first, *rest = map(in_markdown, table.notes)
        notes = "\n".join([first, *([""] if rest else []), *(f"- {note}" for note in rest)])
        parts.append(f"## {table.title}\n\n{headed(table.head, table.rows)}\n\n{notes}\n")
    if not parts:
        return ""
    title = f"# {in_markdown(results['experiment'])}: whether robustness stands"
    return "\n".join([f"{title}\n", *parts])
