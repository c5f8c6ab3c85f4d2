"""Tables of text in Markdown."""

import re

from runner.report.text import DASH


def headed(head: list[str], rows: list[list[str]]) -> str:
    """Return a table of plain text under its heads; columns of numbers are set to the right."""
    lines = [[in_markdown(cell) for cell in line] for line in (head, *rows)]
    rules = ["---:" if all(map(_number, column)) else "---" for column in zip(*rows, strict=True)]
    return joined([lines[0], rules or ["---"] * len(head), *lines[1:]])


def joined(lines: list[list[str]]) -> str:
    """Return lines of cells, which are Markdown already, as the lines of a table."""
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _number(cell: str) -> bool:
    """Whether a cell is a number, with its interval or without, or a dash for want of one."""
    return cell == DASH or re.match(r"[<+-]? ?[0-9]", cell) is not None


def in_markdown(text: str) -> str:
    """Return a text with what would end a cell, or be read as HTML or emphasis, escaped."""
    text = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;")
    return re.sub(r"([\\|*`\[\]])", r"\\\1", text)
