"""What came out of a search claims an order only where intervals share no value."""

from typing import Any

from runner.report.sweep.came_out import came_out, texts
from runner.report.sweep.page import sweep_html
from runner.report.sweep.tables import pareto_markdown
from tests.made.html_page import Page


def test_what_fresh_models_show_is_said_with_its_figures(chosen: dict[str, Any]):
    recommended, cost, searched = came_out(chosen)
    assert "it leaks less than pgd_at, beyond the intervals" in recommended["text"]
    assert [one["of"] for one in recommended["figures"]] == ["fresh", "fresh_base"]
    assert cost["text"] == (
        "By the same fresh models, beside pgd_at: natural accuracy (%) is not shown to differ: "
        "79.0 [78.0, 80.0] against 80.0 [79.0, 81.0]; robust accuracy under pgd20 (%) is lower: "
        "33.0 [32.0, 34.0] against 36.0 [35.0, 37.0]."
    )
    assert searched["text"].startswith("Of 5 settings, of which 1 failed, 3 are on the front")


def test_without_fresh_models_nothing_is_said_of_cost(one_axis: dict[str, Any]):
    assert [one["rule"] for one in came_out(one_axis)] == ["recommended", "searched"]


def test_stored_sentences_are_printed_as_they_are_and_else_made(chosen: dict[str, Any]):
    made = texts(chosen)
    chosen["came_out"] = [{"rule": "recommended", "text": "As it was stored <b>.", "figures": []}]
    assert texts(chosen) == ["As it was stored <b>."] != made
    page = Page(sweep_html(chosen, {}))
    assert "As it was stored <b>." in page.text
    assert "- As it was stored &lt;b>." in pareto_markdown(chosen, texts(chosen))
