"""A sweep's end as a person sees it: the front, and the recommended setting."""

from typing import Any

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from runner.report.sweep.came_out import texts
from runner.report.sweep.readings import axis_names, quantities
from runner.report.sweep.tables import lines, recommended_rows


def terminal_tables(results: dict[str, Any]) -> Group:
    """Return what came out, the front, least leaky first, and the recommended setting afresh."""
    titles = [quantity.header for quantity in quantities(results).values()]
    front = [
        [*line.values, line.num_models, *map(str, line.cells)] for line in lines(results, True)
    ]
    chosen = [[what, *map(str, cells)] for what, cells in recommended_rows(results)]
    head = [*axis_names(results).values(), "models", *titles]
    shown = [_table(f"{results['sweep']}: the front", head, front)] if front else []
    if chosen:
        shown.append(_table("the recommended setting", ["", *titles], chosen))
    return Group(*(Text(f"- {text}") for text in texts(results)), *shown)


def _table(title: str, head: list[str], rows: list[list[str]]) -> Table:
    # Text, not str: rich would read a name for markup
    table = Table(title=Text(title), box=box.SIMPLE_HEAD, padding=0, pad_edge=False)
    for column in head:
        table.add_column(Text(column), overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    return table
