"""The cells of a Markdown table."""


def cells(table: str) -> list[list[str]]:
    """The cells of a Markdown table, without the line of dashes."""
    lines = [line[2:-2].split(" | ") for line in table.splitlines() if line.startswith("| ")]
    return [line for line in lines if not line[0].startswith("---")]


def column(table: str, title: str) -> dict[str, str]:
    head, *lines = cells(table)
    return {line[0]: line[head.index(title)] for line in lines}
