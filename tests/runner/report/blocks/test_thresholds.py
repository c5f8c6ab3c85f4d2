import numpy as np
import pytest

from runner.report.blocks.guarantees import shown_bounds
from runner.report.blocks.thresholds import decisions_markdown, thresholds_figure
from runner.report.table import markdown
from tests.made.drawn import lines
from tests.made.report_tables import cells, column


def test_decisions_have_precision_and_recall_at_each_threshold(noisy, results):
    table = decisions_markdown(noisy)
    assert table is not None
    assert cells(table)[0][2:] == [
        f"p ≥ {at}: {quantity} (%)" for at in (0.5, 0.8) for quantity in ("precision", "recall")
    ]
    precision = column(table, "p ≥ 0.5: precision (%)")
    assert precision["half · 1 draw"] == "55.0 [53.0, 57.0]"
    assert precision["half · mean of 10 draws"] == "58.0 [56.0, 60.0]"
    assert column(table, "p ≥ 0.8: precision (%)")["erm"] == "–"
    assert column(table, "p ≥ 0.8: recall (%)")["erm"] == "0.0 [0.0, 0.0]"
    assert "A guess has a precision of 50 %" in table


def test_an_arm_that_an_attack_did_not_judge_has_dashes(noisy):
    del noisy["arms"]["erm"]["membership"]["shadow_mlp"]
    assert column(decisions_markdown(noisy) or "", "p ≥ 0.5: recall (%)")["erm"] == "–"
    assert column(markdown(noisy), "shadow_mlp (shadows: erm): AUC")["erm"] == "–"
    table = shown_bounds(noisy)
    assert table is not None
    assert "erm" not in dict(table.rows)


def test_precision_and_recall_are_drawn_where_they_are_defined(drawn_noisy):
    drawing = drawn_noisy(thresholds_figure)
    precision, recall = drawing.axes
    assert (precision.get_ylabel(), recall.get_ylabel()) == ("precision (%)", "recall (%)")
    found = lines(precision)
    assert [line["x"] for line in found] == [[0.5]] * 6
    assert [line["y"][0] for line in found] == pytest.approx([70, 55, 58, 55, 58, 51])
    assert [line["filled"] for line in found] == [True, True, False, True, False, True]
    assert all(line["x"] == [0.5, 0.8] for line in lines(recall))
    assert lines(recall)[0]["y"] == pytest.approx([60, 0])
    assert lines(recall)[0]["ends"] == pytest.approx(np.array([[58, 0], [62, 0]]))
    guesses = [list(np.asarray(line.get_ydata())) for line in precision.lines]
    assert [50, 50] in guesses
