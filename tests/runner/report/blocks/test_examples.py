import json

from runner.report.blocks import examples
from runner.report.blocks.examples import examples_html
from runner.report.page import html
from tests.made.html_page import Page
from tests.made.many_arms import many_results, with_examples


def listed(text: str) -> dict:
    (data,) = Page(text).scripts
    return json.loads(data)


def test_every_example_is_listed_by_the_lowest_rate_of_any_arm():
    results = many_results(2, 1)
    data = listed(examples_html(results, {"listed.csv": with_examples(results, 20)}))
    first, second = data["arms"]
    assert sorted(first["found_from"]) == [5 * (i + 1) for i in range(20)]
    lowest = [min(both) for both in zip(first["found_from"], second["found_from"], strict=True)]
    assert lowest == sorted(lowest)
    (files,) = data["ids"]  # in place of a place in the pool
    assert (files["name"], files["values"][0]) == ("file", "0000.png")
    assert [int(file[:4]) % 10 for file in files["values"]] == [
        int(label) for label in data["labels"]
    ]
    assert data["rate"] == 1


def test_of_many_the_page_has_those_of_the_lowest_rates(monkeypatch):
    monkeypatch.setattr(examples, "MOST_CELLS", 8)
    results = many_results(2, 1)
    text = examples_html(results, {"listed.csv": with_examples(results, 20)})
    assert "The 4 of 20 examples" in text
    assert sorted(listed(text)["ids"][0]["values"]) == [
        *("0000.png", "0001.png", "0018.png", "0019.png")
    ]


def test_the_page_names_no_example_unless_it_may(noisy):
    results = many_results(2, 1)
    table = with_examples(results, 20)
    assert "0007.png" in html(results, {}, None, {"examples.csv": table}, True)
    assert "0007.png" not in html(results, {}, None, {"examples.csv": table})
    assert examples_html(noisy, {"listed.csv": table}) == ""
    assert examples_html(results, {}) == ""
    before = table.replace(b"found_from", b"of_before")
    assert examples_html(results, {"listed.csv": before}) == ""


def test_hashed_examples_have_no_place_that_could_be_left_out():
    results = many_results(1, 1)
    lines = with_examples(results, 5).decode().splitlines()
    lines = [",".join(line.split(",")[:1] + line.split(",")[2:]) for line in lines]
    table = "\n".join([lines[0].replace("file", "id", 1), *lines[1:]]).encode()
    (ids,) = listed(examples_html(results, {"listed.csv": table}))["ids"]
    assert ids["name"] == "id"
