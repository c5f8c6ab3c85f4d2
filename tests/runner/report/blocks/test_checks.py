"""Checks on the page: in one line above, in a table below, loud only where one fails."""

from typing import Any

from runner.report.blocks import on_page
from runner.report.blocks.checks import checks_in_short, checks_markdown
from runner.report.blocks.robustness import CHECKS
from tests.made.report import small_results


def checked(*verdicts: str) -> dict[str, Any]:
    guards = [{"name": f"check {v}", "verdict": v, "says": "so"} for v in verdicts]
    return small_results() | {"guards": guards}


def test_the_line_counts_verdicts_and_names_none_that_did_not_come():
    assert checks_in_short(checked("pass", "undecided", "pass")) == "2 passed, 1 undecided"
    assert checks_in_short(checked("fail", "unknown", "pass")) == "1 passed, 1 FAILED, 1 not known"
    assert checks_in_short(small_results()) == ""


def test_a_failed_check_of_robustness_or_epsilon_never_stands_beside_all_passed():
    results = checked("pass", "pass")
    sane = {check: {"verdict": "pass"} for check in CHECKS}
    results["arms"]["erm"]["sanity"] = sane
    results["arms"]["pgd_at"]["sanity"] = {**sane, "black_box_not_stronger": {"verdict": "fail"}}
    assert checks_in_short(results) == "of privacy: 2 passed; of robustness: 7 passed, 1 FAILED"
    stated = {"status": "proved"}
    arms = {"a": {"stated": stated, "alarm": "refuted"}, "b": {"stated": stated, "alarm": None}}
    results["epsilon"] = {"arms": {**arms, "c": {"stated": None, "alarm": None}}}
    assert checks_in_short(results).endswith("; of epsilon: 1 passed, 1 FAILED")


def test_undecided_is_explained_only_where_it_stands():
    assert "more models would tell" in (checks_markdown(checked("undecided")) or "")
    assert "more models would tell" not in (checks_markdown(checked("pass")) or "")
    assert checks_markdown(small_results()) is None


def test_checks_come_last_of_the_parts_but_for_what_was_not_tried_and_where_they_come_from():
    *_, last, untried, provenance = on_page(checked("pass"), {}, {})
    assert last.lstrip().startswith('<h2 id="checks">Checks</h2>')
    assert untried.lstrip().startswith('<h2 id="untried">')
    assert provenance.startswith('<h2 id="provenance">')
