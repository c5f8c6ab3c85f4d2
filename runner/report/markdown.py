"""Tables of text in Markdown."""

import re


def headed(head: list[str], rows: list[list[str]]) -> str:
    """Return a table of plain text under its heads."""
    lines = [[in_markdown(cell) for cell in line] for line in (head, *rows)]
    return joined([lines[0], ["---"] * len(head), *lines[1:]])


def joined(lines: list[list[str]]) -> str:
    """Return lines of cells, which are Markdown already, as the lines of a table."""
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def in_markdown(text: str) -> str:
    """Return a text with what would end a cell, or be read as HTML or emphasis, escaped."""
    text = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;")
    return re.sub(r"([\\|*`\[\]])", r"\\\1", text)
