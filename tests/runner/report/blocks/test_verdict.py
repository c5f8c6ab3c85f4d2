"""What came out stands first on every form, in the same words; old results have none of it."""

import io
from typing import Any

from rich.console import Console

from runner.report.page import html
from runner.report.table import markdown
from runner.report.terminal import shown
from runner.results.verdict import verdict
from tests.made.html_page import Page
from tests.made.verdict import evidence_of, results_of


def words(text: str) -> str:
    return " ".join(text.replace("\\", "").split())


def forms(results: dict[str, Any]) -> list[str]:
    """The page, table.md, and the terminal at 80 columns, as words."""
    console = Console(width=80, file=io.StringIO(), color_system=None)
    console.print(shown(results)[0])
    page = Page(html(results, {})).text
    assert isinstance(console.file, io.StringIO)
    return [words(text) for text in (page, markdown(results), console.file.getvalue())]


def test_every_form_begins_with_the_same_sentences():
    results = results_of({"erm": 0.7, "a": 0.6, "b": 0.8})
    made = verdict(evidence_of(results, reach=0.001))
    told = [words(one["text"]) for one in made]
    assert 3 <= len(told) <= 6
    for text in forms({**results, "came_out": made}):
        places = [text.index(sentence) for sentence in told]
        assert places == sorted(places)
        assert places[-1] < text.index("natural accuracy (%)")
        assert "In brackets: 95 % intervals." in text


def test_results_of_before_are_reported_without_sentences():
    for text in forms(results_of({"erm": 0.7})):
        assert "What came out" not in text
        assert "In brackets" not in text


def test_a_name_of_an_arm_is_no_markup():
    results = results_of({"<b>[red]a*": 0.7})
    results["came_out"] = verdict(evidence_of(results))
    page, table, terminal = forms(results)
    assert "Of <b>[red]a* lira_online" in page
    assert "Of &lt;b>[red]a* lira_online" in table
    assert "Of <b>[red]a* lira_online" in terminal
