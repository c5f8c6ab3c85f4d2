"""A run's end as a person sees it: the main table, and a few lines below it."""

from typing import Any

from rich.console import Group

from runner.report.blocks.checks import checks_in_short
from runner.report.blocks.epsilon import epsilon_in_short
from runner.report.blocks.events import events_in_short
from runner.report.table import terminal_table


def shown(results: dict[str, Any]) -> tuple[Group, list[str]]:
    """Return the table, and the lines: bounds on epsilon, checks, warnings, and what happened."""
    checks, events = checks_in_short(results), events_in_short(results)
    lines = [
        *epsilon_in_short(results),
        *([f"checks: {checks}"] if checks else []),
        *(f"warning: {warning}" for warning in results["warnings"]),
        *([events] if events else []),
    ]
    return terminal_table(results), lines
