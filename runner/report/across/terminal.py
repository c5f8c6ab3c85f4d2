"""Several experiments beside each other on a terminal."""

from rich.console import Group

from runner.report.across import tables
from runner.report.across.tables import Compared
from runner.report.table import terminal_table


def shown_together(compared: Compared) -> tuple[Group, list[str]]:
    """Return the table of all arms, and the lines below it: notes, differences, what differs."""
    compared, below = tables.in_short(compared), tables.below_table(compared)
    lines = [f"note: {note}" for note in compared["notes"]]
    for one in compared["comparisons"]:
        lines += ["", tables.title(one)]
        rows = tables.difference_rows(compared, one)
        wide = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            cells = (cell.ljust(width) for cell, width in zip(row, wide, strict=True))
            lines.append(f"  {'  '.join(cells).rstrip()}")
        lines += [f"  {sentence}" for sentence in tables.told(compared, one)]
    if note := tables.chance_note(compared):
        lines += ["", note]
    labels = [one["label"] for one in compared["compared"]]
    lines += ["", f"what differs between the configurations ({' | '.join(labels)}):"]
    rows = tables.differing_rows(compared)
    lines += [f"  {key}: {' | '.join(values)}" for key, *values in rows] or ["  nothing"]
    return terminal_table(compared, below), lines
