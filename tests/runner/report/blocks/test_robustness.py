"""Worst cases and sanity as tables, rows and a figure, from made-up results."""

import copy
import csv
import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from matplotlib.lines import Line2D

from runner.report import style
from runner.report.blocks.robustness import (
    robustness_csv,
    robustness_markdown,
    robustness_tables,
    sanity_figure,
)
from runner.report.style import save
from tests.made.report import figure

NOTE = "pgd20 leaves 0.7 points fewer images standing than autoattack: <why>"


def points(accuracies: Mapping[Any, float]) -> list[dict[str, Any]]:
    return [{"at": at, "accuracy": a, "error": 0.02} for at, a in accuracies.items()]


def xy(line: Line2D) -> np.ndarray:
    return np.array(line.get_xydata())


def sanity(shift: float = 0.0) -> dict[str, Any]:
    radii = {0.0: 0.9, 0.05: 0.7, 0.1: 0.5, 0.2: 0.3, 0.4: 0.1, 1.0: 0.0}
    return {
        "num_models": 2,
        "num_images": 1400,
        "eps": 0.1,
        "eps_monotone": {
            "verdict": "pass",
            "points": points({eps: max(a - shift, 0.0) for eps, a in radii.items()}),
            "rises": [{"difference": d, "error": 0.01} for d in (-0.2, -0.2, -0.0001, -0.2, -0.1)],
        },
        "chance_at_large_eps": {"verdict": "pass", "points": points({1.0: 0.0}), "chance": 0.1},
        "more_steps_not_weaker": {
            "verdict": "undecided",
            "points": points({1: 0.7, 5: 0.6, 20: 0.5, 100: 0.51}),
            "rises": [{"difference": d, "error": 0.008} for d in (-0.1, -0.1, 0.0099)],
        },
        "black_box_not_stronger": {
            "verdict": "fail",
            "points": points({"square": 0.4, "pgd": 0.5}),
            "rises": [{"difference": 0.1, "error": 0.01}],
        },
    }


def worst_case() -> dict[str, Any]:
    pair = {
        "attacks": ["pgd20", "autoattack"],
        "difference": figure(-0.007, 0.002),
        "only": [1234, 5],
        "num_images": 9600,
    }
    attacks = ["pgd20", "autoattack"]
    ball = {"attacks": attacks, "accuracy": figure(0.456), "pairs": [pair], "notes": [NOTE]}
    return {"0.1": ball}


@pytest.fixture
def known(noisy: dict[str, Any]) -> dict[str, Any]:
    """Of two arms: one with both blocks, and one with noise, that has them twice."""
    noisy["arms"]["erm"] |= {"worst_case": worst_case(), "sanity": sanity()}
    noisy["arms"]["half"] |= {"worst_case": {}, "sanity": sanity(0.1)}
    noisy["arms"]["half"]["averaged"] |= {"worst_case": worst_case(), "sanity": sanity(0.2)}
    return noisy


def test_results_without_these_blocks_have_no_tables_and_no_figure(results: dict[str, Any]):
    assert robustness_tables(results) == []
    assert robustness_markdown(results) == ""
    assert sanity_figure(results) is None
    assert len(robustness_csv(results).splitlines()) == 1


def test_a_row_of_the_worst_case_has_its_ball_and_its_attacks(known: dict[str, Any]):
    worst, pairs, _ = robustness_tables(known)
    cells = ["0.1", "pgd20, autoattack", "45.6 [43.6, 47.6]"]
    assert worst.rows == [["erm", "8", *cells], ["half · mean of 10 draws", "8", *cells]]
    assert f"erm, eps 0.1: {NOTE}" in worst.notes
    counts = ["pgd20: 1,234", "autoattack: 5", "9,600"]
    first, _ = pairs.rows
    assert first == ["erm", "0.1", "pgd20 - autoattack", "-0.7 [-0.9, -0.5]", *counts]
    assert all(len(row) == len(table.head) for table in (worst, pairs) for row in table.rows)


def test_a_verdict_stands_with_the_largest_rise(known: dict[str, Any]):
    *_, table = robustness_tables(known)
    labels = [row[0] for row in table.rows]
    assert labels == ["erm", "half · 1 draw", "half · mean of 10 draws"]
    assert table.rows[0][1:] == [
        "2",
        "1,400",
        "pass: +0.0 ± 1.0",
        "pass: 0.0 ± 2.0 %, chance is 10.0 %",
        "undecided: +1.0 ± 0.8",
        "fail: +10.0 ± 1.0",
    ]


def test_a_costly_attack_on_few_models_has_a_row_and_a_line(known: dict[str, Any]):
    less = {"difference": 0.0312, "error": 0.009}
    other = {"at": "auto", "accuracy": 0.4126, "error": 0.013, "pgd_less": less}
    known["arms"]["erm"]["sanity"]["beside"] = [other]
    *_, table = robustness_tables(known)
    assert table.title == "Costly attacks on few models"
    assert table.rows == [["erm", "auto", "2", "1,400", "41.3 ± 1.3", "+3.1 ± 0.9"]]
    rows = csv.DictReader(io.StringIO(robustness_csv(known)))
    (row,) = (r for r in rows if r["quantity"] == "beside")
    said = (row["at"], float(row["accuracy"]), float(row["error"]), row["num_images"])
    assert said == ("auto", 0.4126, 0.013, "1400")


def test_markdown_has_every_table_and_escapes_what_would_be_markup(known: dict[str, Any]):
    text = robustness_markdown(known)
    assert text.startswith("# small: whether robustness stands\n")
    for table in robustness_tables(known):
        assert f"## {table.title}\n" in text
        assert f"| {' | '.join(table.head)} |" in text
    assert "&lt;why>" in text
    assert "<why>" not in text
    assert text.endswith(".\n")


def test_rows_hold_every_number_in_full(known: dict[str, Any]):
    rows = list(csv.DictReader(io.StringIO(robustness_csv(known))))
    assert None not in {key for row in rows for key in row}
    (worst,) = (r for r in rows if r["arm"] == "erm" and r["quantity"] == "worst_case")
    assert (worst["eps"], worst["attacks"]) == ("0.1", "pgd20 autoattack")
    assert float(worst["mean"]) == 0.456
    assert worst["num_models"] == "8"
    (pair,) = (r for r in rows if r["arm"] == "erm" and r["quantity"] == "difference")
    counted = [pair[key] for key in ("only_first", "only_second", "num_images")]
    assert counted == ["1234", "5", "9600"]
    steps = [r for r in rows if r["arm"] == "erm" and r["quantity"] == "more_steps_not_weaker"]
    assert [(r["at"], float(r["accuracy"])) for r in steps] == [
        ("1", 0.7),
        ("5", 0.6),
        ("20", 0.5),
        ("100", 0.51),
    ]
    assert {(r["verdict"], r["num_images"], r["error"]) for r in steps} == {
        ("undecided", "1400", "0.02")
    }
    assert {r["draws"] for r in rows if r["arm"] == "half"} == {"1", "10"}


def test_the_figure_has_a_line_a_reading_in_both_panels_and_marks_the_black_box(
    known: dict[str, Any],
):
    drawn = sanity_figure(known)
    assert drawn is not None
    radii, steps = drawn.axes
    lines = [xy(container.lines[0]) for container in radii.containers]  # pyright: ignore
    assert len(lines) == len(steps.containers) == 3
    expected = [[0, 90], [0.05, 70], [0.1, 50], [0.2, 30], [0.4, 10], [1, 0]]
    np.testing.assert_allclose(lines[0], expected)
    assert [t.get_text() for t in steps.get_xticklabels()] == ["1", "5", "20", "100"]
    stars = [xy(line) for line in radii.lines if line.get_marker() == "*"]
    np.testing.assert_allclose(stars, [[[0.1, 40]]] * 3)
    chance = [xy(line)[:, 1] for line in radii.lines if line.get_color() == style.FAINT]
    np.testing.assert_allclose(chance, [[10, 10]] * 3)
    named = [text.get_text() for text in drawn.legends[0].get_texts()]
    assert named[-2:] == ["Square, a black box", "chance"]
    assert len(named) == 5
    again = sanity_figure(copy.deepcopy(known))
    assert again is not None
    assert save(again, "svg") == save(drawn, "svg")
