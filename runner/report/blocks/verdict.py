"""What came out, in the sentences of results.json, which stand first on every form."""

import re
from collections.abc import Sequence
from typing import Any

from runner.report.html import rendered
from runner.report.text import in_markdown, percent

SURE = 0.95  # of all differences of a sentence together


def verdict_html(results: dict[str, Any]) -> str:
    """Return the sentences as a section of the page; "" of results that have none."""
    sentences = verdict_sentences(results)
    return verdict_section(sentences, verdict_note(results)) if sentences else ""


def verdict_section(sentences: Sequence[str], note: str = "") -> str:
    """Return sentences as a section of a page, and what stands below them. No interval breaks."""
    whole = [re.sub(r"\[(\S+), (\S+)\]", "[\\1,\u00a0\\2]", text) for text in sentences]
    return rendered("blocks/verdict.html.j2", sentences=whole, note=note).rstrip("\n")


def verdict_markdown(results: dict[str, Any]) -> str:
    """Return the sentences as a list, with what their intervals are; "" where there are none."""
    sentences, note = verdict_sentences(results), verdict_note(results)
    if not sentences:
        return ""
    listed = "\n".join(f"- {in_markdown(text)}" for text in sentences)
    return "\n\n".join(filter(None, [listed, in_markdown(note)]))


def verdict_sentences(results: dict[str, Any]) -> list[str]:
    """Return the sentences; none of results that were written before there were any."""
    return [sentence["text"] for sentence in results.get("came_out") or []]


def verdict_note(results: dict[str, Any]) -> str:
    """Return what the brackets of the sentences are, where a difference stands in one of them."""
    figures = [figure for one in results.get("came_out") or [] for figure in one["figures"]]
    if not any(figure["against"] for figure in figures):
        return ""
    sure = percent(SURE)
    return (
        f"In brackets: {sure} intervals. Those of differences are taken model by model, and are so "
        f"wide that all comparisons behind a sentence hold together with {sure}: each has an equal "
        "part of the error (Bonferroni)."
    )
