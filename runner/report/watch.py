"""The page to watch: how things stand, as one file of HTML that looks again by itself.

It works without JavaScript, loads nothing, and shows figures alone: no image of any example.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from runner.report import columns
from runner.report.html import rendered, sheet


def watch_page(things: Sequence[Mapping[str, Any]], **told: Any) -> str:
    """Return the page.

    Args:
        things: experiments, sweeps and audits, as watch.html.j2 shows them.
        told: `title`, `at`, `storage`, `every_s` (0: it does not look again) and `trouble`.
    """
    return rendered(
        "watch.html.j2", things=things, policy=policy(), style=_style(), script=_script(), **told
    )


def main_table(results: dict[str, Any]) -> dict[str, Any]:
    """Return the report's main table as the page shows it, of what results.json holds."""
    shown = columns.main_columns(results)
    return {
        "columns": shown,
        "groups": columns.groups(shown),
        "rows": columns.rows(results, shown),
        "note": " ".join(columns.notes(results)),
    }


@cache
def policy() -> str:
    """Return the content security policy: its own style and script, and nothing from anywhere."""
    allowed = {
        "default-src": "'none'",
        "style-src": _hash(_style()),
        "script-src": _hash(_script()),
        "connect-src": "'self'",
        "img-src": "data:",  # the empty icon, which a browser would ask the server for otherwise
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return "; ".join(f"{what} {where}" for what, where in allowed.items())


@cache
def _style() -> str:
    return sheet() + Path(__file__).with_name("watch.css").read_text("utf-8")


@cache
def _script() -> str:
    return Path(__file__).with_name("watch.js").read_text("utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
