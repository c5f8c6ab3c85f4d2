import base64
import copy
import csv
import io
from pathlib import Path
from typing import Any

import pytest

from runner.report import write_report
from runner.report.blocks.vulnerable import MOST_CLASSES, vulnerable_csv, vulnerable_markdown
from tests.made.report import figure, small_results


def class_of(label: int, tpr: float, stands_out: str | None = None) -> dict[str, Any]:
    rates = {"tpr": figure(tpr), "fpr": figure(0.01)}
    return {"label": label, "num_examples": 1000 + label, **rates, "stands_out": stands_out}


def found(num_classes: int = 3) -> dict[str, Any]:
    return {
        "attack": "lira_online",
        "false_positive_rate": 0.01,
        "at_least": 0.9,
        "num_models": 8,
        "num_examples": 1400,
        "least_in": 4,
        "most_in": 4,
        "num_vulnerable": 25,
        "num_likewise_outside": 2,
        "chance": 0.011,
        "expected_by_chance": 1.26,
        "stability": {
            "jaccard": 0.25,
            "by_chance": 0.011,
            "rank_correlation": -0.001,
            "num_first": 40,
            "num_second": 60,
        },
        "memorization_correlation": None,
        "probability_correlation": 0.5,
        "by_class": [
            class_of(k, (k * 7 % num_classes) / num_classes, "above" if k == 1 else None)
            for k in range(num_classes)
        ],
        "top": [],
    }


@pytest.fixture
def results() -> dict[str, Any]:
    results = small_results()
    results["arms"]["erm"]["vulnerable"] = found()
    other = copy.deepcopy(found())
    other["stability"] = other["stability"] | {"jaccard": None, "by_chance": None}
    results["arms"]["pgd_at"]["vulnerable"] = other | {"expected_by_chance": 1e-9}
    return results


def test_an_arm_has_a_row_and_what_is_not_known_is_a_dash(results: dict[str, Any]):
    lines = (vulnerable_markdown(results) or "").splitlines()
    assert "| erm | 1,400 | 25 | 1.3 | 2 | 0.25 | 0.01 | 0.00 | – |" in lines
    assert "| pgd_at | 1,400 | 25 | &lt; 0.1 | 2 | – | – | 0.00 | – |" in lines


def test_a_sentence_says_how_stable_what_is_found_is(results: dict[str, Any]):
    text = vulnerable_markdown(results) or ""
    shared = "erm: the halves find 40 and 60 examples, 20 of them the same"
    assert f"{shared}; no single example is sure." in text
    assert "pgd_at: neither half of the models finds any example so often." in text
    results["arms"]["erm"]["vulnerable"]["stability"] |= {"jaccard": 0.6, "num_first": 60}
    text = vulnerable_markdown(results) or ""
    assert "60 and 60 examples, 45 of them the same.\n" in text


def test_classes_are_in_the_order_of_the_first_arm_and_arrows_mark_those_that_stand_out(
    results: dict[str, Any],
):
    text = vulnerable_markdown(results) or ""
    rows = [
        line for line in text.partition("## Leakage by class")[2].splitlines() if "1,00" in line
    ]
    assert [row.split(" | ")[0] for row in rows] == ["| 2", "| 1", "| 0"]
    assert "33.3 \\[31.3, 35.3\\] \N{UPWARDS ARROW} | 1.0" in rows[1]
    assert text.count("\N{UPWARDS ARROW}") == 2
    assert "Classes that stand out in erm: 1 above the others." in text


def test_of_many_classes_the_extremes_are_shown_and_the_csv_has_all(results: dict[str, Any]):
    results["arms"]["erm"]["vulnerable"] = found(num_classes=100)
    table = (vulnerable_markdown(results) or "").partition("## Leakage by class")[2]
    shown = [float(line.split(" | ")[2].split()[0]) for line in table.splitlines() if "1,0" in line]
    assert shown == [*range(99, 89, -1), *range(9, -1, -1)]
    assert len(shown) == MOST_CLASSES
    assert "Of 100 classes, the 10 of highest and the 10 of lowest TPR" in table
    rows = list(csv.DictReader(io.StringIO(vulnerable_csv(results))))
    own = {
        r["label"]: float(r["mean"]) for r in rows if (r["arm"], r["quantity"]) == ("erm", "tpr")
    }
    assert own == {str(k): (k * 7 % 100) / 100 for k in range(100)}


def test_without_four_models_to_an_example_classes_alone_are_shown(results: dict[str, Any]):
    nothing = {"num_examples": 0, "num_vulnerable": 0, "stability": None, "expected_by_chance": 0}
    for arm in results["arms"].values():
        arm["vulnerable"] |= nothing | {"least_in": None, "most_in": None}
    text = vulnerable_markdown(results) or ""
    assert "No example is in the training data of four models or more" in text
    assert "| arm |" not in text
    assert "## Leakage by class" in text


def test_there_is_no_block_where_nobody_looked():
    assert vulnerable_markdown(small_results()) is None
    results = small_results()
    for arm in results["arms"].values():
        arm["vulnerable"] = None
    assert vulnerable_markdown(results) is None


def test_the_page_shows_the_sheet_and_links_the_table_of_every_example(
    results: dict[str, Any], tmp_path: Path
):
    files: dict[str, bytes | None] = {
        "examples.png": b"a sheet",
        "examples.csv": None,
        "examples.parquet": b"rows",
    }
    page = write_report(results, tmp_path, examples=files).read_bytes().decode()
    assert f"base64,{base64.b64encode(b'a sheet').decode()}" in page
    assert '<a href="examples.parquet">' in page
    assert "examples.csv" not in page
    assert (tmp_path / "examples.png").read_bytes() == b"a sheet"
    assert (tmp_path / "examples.parquet").read_bytes() == b"rows"
    assert (tmp_path / "vulnerable.csv").exists()
    assert not (tmp_path / "examples.csv").exists()
    page = write_report(results, tmp_path, examples=dict.fromkeys(files)).read_bytes().decode()
    assert "Examples at risk</h2>" in page
    assert "The examples that are called members most often" not in page
    assert not (tmp_path / "examples.png").exists()
