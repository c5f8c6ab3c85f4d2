"""Leakage and accuracy by memorization score in Markdown."""

from typing import Any

from runner.report.blocks.memorization import memorization_tables
from runner.report.markdown import headed, in_markdown


def memorization_markdown(results: dict[str, Any]) -> str:
    """Return the tables, each with its notes; "" where nothing was measured."""
    parts = []
    for title, head, rows, notes in memorization_tables(results):
        sections = [f"## {in_markdown(title)}", headed(head, rows), *map(in_markdown, notes)]
        parts.append("\n\n".join(sections))
    if not parts:
        return ""
    title = f"# {in_markdown(results['experiment'])}: leakage and accuracy by memorization"
    return "\n\n".join([title, *parts]) + "\n"
