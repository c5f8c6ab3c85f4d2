import csv
import io
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from runner.report import style
from runner.report.blocks.memorization import (
    memorization_csv,
    memorization_figure,
    memorization_markdown,
    memorization_tables,
)
from tests.made.report import figure, small_results

COUNTS = [600, 300, 100]


def columns(overall: float, *by_bin: float | None) -> dict[str, Any]:
    found = [None if mean is None else figure(mean, 0.01) for mean in by_bin]
    return {"overall": figure(overall, 0.01), "by_bin": found}


def arm(tpr: list[float | None], accuracy: list[float | None], change: Any) -> dict[str, Any]:
    return {
        "tpr": columns(0.25, *tpr),
        "accuracy": columns(0.7, *accuracy),
        "member_accuracy": columns(0.9, 0.99, 0.98, 0.97),
        "change": change,
    }


def with_memorization() -> dict[str, Any]:
    """Scores of own models in two bins above 0; the second arm loses 16 points of accuracy."""
    change = {
        "tpr": columns(-0.2, -0.1, -0.2, None),
        "accuracy": columns(-0.16, -0.18, -0.1, -0.22),
        "member_accuracy": columns(-0.2, -0.2, -0.2, -0.2),
        "accuracy_parts": [figure(-0.108, 0.01), figure(-0.03, 0.01), figure(-0.022, 0.01)],
    }
    return small_results() | {
        "memorization": {
            "source": {"arm": "erm", "file": None, "num_models": 8, "labels_compared": None},
            "attack": "lira_online",
            "false_positive_rate": 0.001,
            "at_zero_false_positives": False,
            "num_targets": 8,
            "num_negatives": 5000,
            "bins": {
                "asked": 20,
                "used": 2,
                "median_standard_error": 0.3333,
                "edges": [0.0, 0.5, 1.0],
                "counts": COUNTS,
                "num_not_judged": 0,
            },
            "reference": "erm",
            "arms": {
                "erm": arm([0.1, 0.4, 0.8], [0.9, 0.5, 0.2], None),
                "pgd_at": arm([0.05, 0.2, None], [0.72, 0.4, None], change),
            },
        }
    }


def heights(axes: Axes) -> list[float]:
    return [bar.get_height() for bar in axes.patches if isinstance(bar, Rectangle)]


@pytest.fixture
def block() -> dict[str, Any]:
    return with_memorization()


def test_nothing_is_shown_where_nothing_was_measured(results: dict[str, Any]):
    for without in (results, results | {"memorization": None}):
        assert memorization_figure(without) is None
        assert memorization_markdown(without) == memorization_csv(without) == ""
        assert memorization_tables(without) == []


def test_tables_have_a_row_for_all_examples_and_one_for_each_bin(block: dict[str, Any]):
    tpr, accuracy, change = memorization_tables(block)
    assert tpr.title == "TPR at 0.1 % FPR (%)"
    assert tpr.head == ["memorization", "examples", "erm", "pgd_at"]
    assert tpr.rows == [
        ["all", "1,000", "25.0 [24.0, 26.0]", "25.0 [24.0, 26.0]"],
        ["0", "600", "10.0 [9.0, 11.0]", "5.0 [4.0, 6.0]"],
        ["(0, 0.5]", "300", "40.0 [39.0, 41.0]", "20.0 [19.0, 21.0]"],
        ["(0.5, 1]", "100", "80.0 [79.0, 81.0]", "–"],
    ]
    assert accuracy.rows[1][2:] == ["90.0 [89.0, 91.0]", "72.0 [71.0, 73.0]"]
    assert change.title == "Change of accuracy against erm (points)"
    assert change.head[2:] == ["pgd_at", "pgd_at: its part of all"]
    assert [row[2:] for row in change.rows] == [
        ["-16.0 [-17.0, -15.0]", "-16.0 [-17.0, -15.0]"],
        ["-18.0 [-19.0, -17.0]", "-10.8 [-11.8, -9.8]"],
        ["-10.0 [-11.0, -9.0]", "-3.0 [-4.0, -2.0]"],
        ["-22.0 [-23.0, -21.0]", "-2.2 [-3.2, -1.2]"],
    ]


def test_the_notes_say_which_bins_lose_most(block: dict[str, Any]):
    *_, last = memorization_tables(block)
    told, loss = last.notes
    assert "8 models of erm" in told
    assert "There are 2 more and not 20, so that none is narrower than 0.33" in told
    assert "0.1 % of its 5,000 non-members." in told
    assert "pgd_at against erm: -16.0 [-17.0, -15.0] points" in loss
    assert "largest part of it is 0, with 60 % of the examples: -10.8" in loss
    assert "accuracy falls most in (0.5, 1]: -22.0" in loss


def test_an_arm_that_loses_nothing_is_not_said_to_lose(block: dict[str, Any]):
    change = block["memorization"]["arms"]["pgd_at"]["change"]
    change["accuracy"]["overall"] = figure(0.01)
    assert len(memorization_tables(block)[-1].notes) == 1


def test_a_rate_below_one_false_positive_is_called_what_it_is(block: dict[str, Any]):
    block["memorization"] |= {"at_zero_false_positives": True, "num_negatives": 700}
    first, *_, last = memorization_tables(block)
    assert first.title == "TPR at 0 false positives (0.1 % is below one) (%)"
    assert "0.1 % of its 700 non-members, which is less than one" in last.notes[0]


@pytest.mark.parametrize("compared", [True, False])
def test_a_published_file_is_named_and_its_order_vouched_for_or_not(
    block: dict[str, Any], compared: bool
):
    source = {"arm": None, "file": "mem.npz", "num_models": None, "labels_compared": compared}
    block["memorization"]["source"] = source
    block["memorization"]["bins"] |= {"num_not_judged": 10_000, "asked": 2}
    told = memorization_tables(block)[-1].notes[0]
    assert "read from mem.npz" in told
    assert ("taken on trust" in told) is not compared
    assert "10,000 examples have no score" in told
    assert "standard error" not in told


def test_one_arm_alone_has_no_table_of_changes(block: dict[str, Any]):
    del block["memorization"]["arms"]["pgd_at"]
    tpr, accuracy = memorization_tables(block)
    assert tpr.head[2:] == ["erm"]
    assert len(accuracy.notes) == 1


def test_csv_has_every_figure_with_its_bin(block: dict[str, Any]):
    lines = list(csv.DictReader(io.StringIO(memorization_csv(block))))
    of = {(r["arm"], r["quantity"], r["above"], r["to"]): r for r in lines}
    assert len(of) == len(lines) == 3 * 4 + (2 * 3 + 4) + (3 + 4 + 4 + 3)
    bin_2 = of["erm", "tpr", "0.5", "1.0"]
    assert (bin_2["mean"], bin_2["num_examples"], bin_2["num_models"]) == ("0.8", "100", "8")
    assert of["pgd_at", "accuracy", "", ""]["num_examples"] == "1000"
    assert of["pgd_at", "change_of_tpr", "", "0.0"]["mean"] == "-0.1"
    part = of["pgd_at", "part_of_change_of_accuracy", "", "0.0"]
    assert (part["mean"], part["num_examples"]) == ("-0.108", "600")
    assert ("pgd_at", "tpr", "0.5", "1.0") not in of


def test_markdown_shows_the_tables_and_their_notes(block: dict[str, Any]):
    text = memorization_markdown(block)
    assert text.startswith("# small: leakage and accuracy by memorization\n\n## TPR at 0.1 % FPR")
    assert "| (0.5, 1\\] | 100 | 80.0 \\[79.0, 81.0\\] | – |" in text
    assert text.count("\n## ") == 3
    assert "its part of all" in text


def test_a_panel_draws_every_bin_that_was_measured_with_its_interval(block: dict[str, Any]):
    drawn = memorization_figure(block)
    assert drawn is not None
    panels = [axes for axes in drawn.axes if axes.get_xlabel()]
    assert [axes.get_ylabel() for axes in panels] == [
        "TPR at 0.1 % FPR (%)",
        "accuracy on non-members (%)",
    ]
    for axes, means in zip(panels, ([10, 40, 80, 5, 20], [90, 50, 20, 72, 40]), strict=True):
        lines = [line for line in axes.lines if line.get_linestyle() != "None"]
        points = np.concatenate([np.asarray(line.get_ydata(), float) for line in lines])
        assert points == pytest.approx(means)
        colors = {line.get_color() for line in lines}
        assert colors == set(style.COLORS[:2])
        zero, *others = (float(np.asarray(line.get_xdata())[0]) for line in lines[:2])
        assert zero < 0 < min(others)
        assert [tick.get_text() for tick in axes.get_xticklabels()] == ["0", "0.5", "1"]
    assert [heights(axes) for axes in drawn.axes if axes.patches] == [COUNTS, COUNTS]


def test_a_bin_without_examples_has_no_bar(block: dict[str, Any]):
    block["memorization"]["bins"]["counts"] = [600, 0, 100]
    drawn = memorization_figure(block)
    assert drawn is not None
    assert [heights(axes) for axes in drawn.axes if axes.patches] == [[600, 100], [600, 100]]
