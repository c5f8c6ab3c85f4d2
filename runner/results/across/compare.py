"""`runner compare`: experiments beside each other, printed, and written where one asks."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console

from runner.driver.progress import say
from runner.report.across.terminal import shown_together
from runner.results.across._differences import differences
from runner.results.across._differing import differing
from runner.results.across._merged import merged, strongest_of
from runner.results.across.stored import Stored, read_all
from runner.storage.cloud import Folder, folder_at
from runner.storage.store import StorageError


def compare_all(
    named: Sequence[str], storage: Folder | str, out: str | None, console: Console
) -> dict[str, Any]:
    """Print a comparison, and write it where that was asked; return what compared.json holds.

    Args:
        named: as `runner.driver.named.find` takes them; the others are compared with the first.
        out: the folder of a page, of its tables and of its figure.

    Raises:
        StorageError: something that was named is not there, or `out` cannot be written.
        UserFault: what was named cannot be compared.
    """
    stored = read_all(named, storage)
    page = folder_at(out) if out else None
    if page is not None and page.exists() and not page.is_dir():
        raise StorageError(f"{page} is no folder; name another with --out FOLDER")
    compared = together(stored)
    table, lines = shown_together(compared)
    console.print(table)
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True, markup=False)
    if page is not None:
        from runner.report.across.page import write_comparison  # matplotlib

        say(console, f"comparison: {write_comparison(compared, page)}")
    return compared


def together(stored: Sequence[Stored]) -> dict[str, Any]:
    """Return what compared.json holds; docs/across.md says what its keys are."""
    first, *others = stored
    found = merged(stored)
    return {
        "compared": [
            {
                "label": one.label,
                "name": one.results.get("experiment"),
                "kind": one.kind,
                "date": (one.results.get("provenance") or {}).get("date"),
                "git_commit": one.results.get("git_commit"),
            }
            for one in stored
        ],
        **found,
        "differing": differing(stored),
        "comparisons": [each for other in others for each in differences(first, other)],
        "notes": _notes(stored),
    }


def _notes(stored: Sequence[Stored]) -> list[str]:
    """What one must know before figures of several experiments are set beside each other."""
    first, *others = stored
    found = []
    for other in others:
        both, data = f"{first.label} and {other.label}", other.results["data"]
        if {**first.results["data"], "augment": ""} != {**data, "augment": ""}:
            found.append(
                f"{both} are of other data or of other sizes of the same: what differs between "
                "them is not the training alone."
            )
        if strongest_of(first) != strongest_of(other):
            found.append(
                f"The strongest attack of {both} is chosen among other attacks: whoever made more "
                "of them may have found more for that."
            )
        here, there = first.results["evaluation"], other.results["evaluation"]
        if here != there:
            found.append(f"{both} measure accuracies on other images, or read TPRs otherwise.")
    for one in stored:
        found += [f"{one.label}: {warning}" for warning in one.results.get("warnings") or ()]
    return found
