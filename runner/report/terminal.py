"""A run's end as a person sees it: the main table, and a few lines below it."""

from typing import Any

from rich.console import Group
from rich.text import Text

from runner.report.blocks.checks import checks_in_short
from runner.report.blocks.epsilon import epsilon_in_short
from runner.report.blocks.events import events_in_short
from runner.report.blocks.verdict import verdict_note, verdict_sentences
from runner.report.table import terminal_table


def shown(results: dict[str, Any]) -> tuple[Group, list[str]]:
    """Return what came out and the table, and the lines: epsilon, checks, warnings, events."""
    checks, events = checks_in_short(results), events_in_short(results)
    lines = [
        *epsilon_in_short(results),
        *([f"checks: {checks}"] if checks else []),
        *(f"warning: {warning}" for warning in results["warnings"]),
        *([events] if events else []),
    ]
    told = [Text(f"- {text}") for text in verdict_sentences(results)]
    note = [Text(text, style="dim") for text in (verdict_note(results),) if text]
    return Group(*told, *note, terminal_table(results)), lines
