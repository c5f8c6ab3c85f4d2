"""Checks on the page: in one line above, in a table below, loud only where one fails."""

from typing import Any

from runner.report.blocks import on_page
from runner.report.blocks.checks import guards_markdown, in_short
from runner.report.markdown import headed
from tests.runner.report.conftest import small_results


def checked(*verdicts: str) -> dict[str, Any]:
    guards = [{"name": f"check {v}", "verdict": v, "says": "so"} for v in verdicts]
    return small_results() | {"guards": guards}


def test_the_line_counts_verdicts_and_names_none_that_did_not_come():
    assert in_short(checked("pass", "undecided", "pass")) == "2 passed, 1 undecided"
    assert in_short(checked("fail", "unknown", "pass")) == "1 passed, 1 FAILED, 1 not known"
    assert in_short(small_results()) == ""


def test_undecided_is_explained_only_where_it_stands():
    assert "more models would tell" in (guards_markdown(checked("undecided")) or "")
    assert "more models would tell" not in (guards_markdown(checked("pass")) or "")
    assert guards_markdown(small_results()) is None


def test_checks_come_last_of_the_parts():
    assert list(on_page(checked("pass")))[-1] == "checks"


def test_columns_of_numbers_are_set_to_the_right_and_columns_of_text_are_not():
    text = headed(["arm", "a", "b"], [["x", "1,000", "–"], ["2y", "-0.1 [-1, 0]", "< 0.1"]])
    assert text.splitlines()[1] == "| --- | ---: | ---: |"
    assert headed(["arm"], []) == "| arm |\n| --- |"
