"""What went wrong, as the page, the Markdown and the terminal have it."""

from typing import Any

from runner.report import style, write_report
from runner.report.blocks.events import events_html, events_in_short, events_markdown
from runner.report.page import html
from runner.report.sweep.page import sweep_html
from tests.made.html_page import Page
from tests.made.sweep_report import by_weight


def events(number: int) -> list[dict[str, str]]:
    return [
        {"at": f"2001-09-09T01:{i:02}:40+00:00", "text": f"node {i} lost"} for i in range(number)
    ]


def details(read: Page) -> list[dict[str, str | None]]:
    return [attributes for tag, attributes in read.tags if tag == "details"]


def scripts(read: Page) -> list[dict[str, str | None]]:
    return [attributes for tag, attributes in read.tags if tag == "script"]


def test_the_page_shows_each_event_with_its_time(results: dict[str, Any]):
    results["events"] = events(2)
    read = Page(html(results, {}))
    text = " ".join(read.text.split())
    assert "time (UTC)what 2001-09-09 01:00:40node 0 lost 2001-09-09 01:01:40node 1 lost" in text
    assert "While they were made: 2 events (what happened)." in text
    assert ("a", {"href": "#happened"}) in read.tags
    assert ("h2", {"id": "happened"}) in read.tags


def test_more_than_ten_events_are_folded_up(results: dict[str, Any]):
    for number, opened in ((10, True), (11, False)):
        results["events"] = events(number)
        (folded,) = details(Page(events_html(results, {})))
        assert ("open" in folded) == opened
        assert events_html(results, {}) in html(results, {})
        assert f"<summary>{number} events</summary>" in events_html(results, {})


def test_without_events_the_page_says_so_and_results_of_before_say_nothing(
    results: dict[str, Any],
):
    assert "What happened" not in Page(html(results, {})).text
    results["events"] = []
    read = Page(html(results, {}))
    assert "No driver told of anything that went wrong." in read.text
    assert "While they were made" not in read.text
    assert not details(Page(events_html(results, {})))
    assert events_markdown(results) is None
    assert events_in_short(results) == ""


def test_what_an_event_says_is_text_on_every_page(results: dict[str, Any]):
    evil = '<script>alert("1")</script> & </details> | *a*'
    swept = by_weight()
    for one, write in ((results, html), (swept, sweep_html)):
        ours = scripts(Page(write(one, {})))
        one["events"] = [{"at": "2001-09-09T01:46:40+00:00", "text": evil}]
        read = Page(write(one, {}))
        assert scripts(read) == ours
        assert evil in read.text
        text = events_markdown(one)
        assert text is not None
        assert "<script" not in text
        assert r"\| \*a\*" in text


def test_the_terminal_has_one_line(results: dict[str, Any]):
    results["events"] = events(1)
    last = "the last was, at 2001-09-09 01:00:40 UTC: node 0 lost"
    assert events_in_short(results) == f"1 event is in the report; {last}"
    results["events"] = events(12)
    assert events_in_short(results).startswith("12 events are in the report; the last was, at ")
    assert events_in_short(results).endswith("UTC: node 11 lost")


def test_the_markdown_is_a_file_of_the_report_only_while_there_are_events(
    results: dict[str, Any], tmp_path, monkeypatch
):
    monkeypatch.setattr(style, "save", lambda figure, form: b"<svg></svg>")
    results["events"] = events(1)
    write_report(results, tmp_path)
    told = (tmp_path / "events.md").read_text()
    assert told.startswith("# small: what happened\n\n| time (UTC) | what |")
    assert "node 0 lost |" in told
    results["events"] = []
    write_report(results, tmp_path)
    assert not (tmp_path / "events.md").exists()
