from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.container import ErrorbarContainer

from runner.report import style
from runner.report.blocks.against import against_figure
from runner.report.blocks.roc import MOST_BANDS, roc_figure, roc_linear_figure
from runner.report.blocks.thresholds import thresholds_figure
from runner.report.captions import captions
from runner.report.dial_lines import dial_lines
from runner.report.figures import save


def panels(drawing: Any) -> dict[str, Axes]:
    assert drawing is not None
    return {axes.get_title(): axes for axes in drawing.axes}


def lines(axes: Axes) -> list[dict[str, Any]]:
    """Each line with error bars: where its points and the ends of their bars are."""
    found = []
    for drawn in axes.containers:
        assert isinstance(drawn, ErrorbarContainer)
        line, _, (bars,) = drawn.lines
        x, y = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
        ends = np.array([[low[1], high[1]] for low, high in bars.get_segments()])
        look = {"style": line.get_linestyle(), "color": line.get_color()}
        filled = line.get_markerfacecolor() != style.PAPER
        found.append({"x": list(x), "y": list(y), "ends": ends.T, "filled": filled, **look})
    return found


def test_the_baseline_stands_at_zero_and_arms_without_the_dial_are_left_out(noisy):
    one, mean = dial_lines(noisy)
    assert [(at, reading.label) for at, reading in one.points] == [
        (0.0, "erm"),
        (0.5, "half · 1 draw"),
        (1.0, "one · 1 draw"),
    ]
    assert [reading.label for _, reading in mean.points] == [
        "erm",
        "half · mean of 10 draws",
        "one · mean of 10 draws",
    ]
    assert (one.value, mean.averaged, one.connected) == (5, True, True)
    noisy["arms"]["erm"]["dials"] = {"gamma": 7.0, "members": 1.0}
    assert [[at for at, _ in line.points] for line in dial_lines(noisy)] == [[0, 0.5, 1]] * 2


def test_there_is_a_line_for_each_value_of_by(noisy):
    noisy["arms"]["one"]["dials"]["members"] = 1.0
    noisy["arms"]["dp_sgd"]["dials"]["gamma"] = 2.0
    found = [
        (line.value, line.averaged, [at for at, _ in line.points]) for line in dial_lines(noisy)
    ]
    assert found == [
        (1, False, [0, 1]),
        (1, True, [0, 1]),
        (5, False, [0, 0.5]),
        (5, True, [0, 0.5]),
        (None, False, [0, 2]),
    ]
    noisy["report"] |= {"by": None, "baseline": None}
    noisy["arms"]["dp_sgd"]["dials"]["gamma"] = 0.7
    assert [at for at, _ in dial_lines(noisy)[1].points] == [0.5, 0.7, 1]


def test_two_arms_at_one_value_are_not_connected(noisy):
    noisy["arms"]["half"]["dials"]["gamma"] = 1.0
    assert [line.connected for line in dial_lines(noisy)] == [False, False]
    axes = panels(against_figure(noisy))["lira_online"]
    assert [line["style"] for line in lines(axes)] == ["None", "None"]


def test_each_quantity_is_drawn_against_the_dial_with_its_interval(drawn_noisy):
    found = panels(drawn_noisy(against_figure))
    attack = "shadow_mlp (shadows: erm)"
    assert list(found) == ["training and test", "lira_online", attack, "pgd20, overstated"]
    natural, train, natural_mean, train_mean = lines(found["training and test"])
    assert natural["x"] == train_mean["x"] == [0, 0.5, 1]
    assert natural["y"] == pytest.approx([90, 90, 90])
    assert natural_mean["y"] == pytest.approx([90, 92, 92])
    assert natural_mean["ends"] == pytest.approx(np.array([[88, 90, 90], [92, 94, 94]]))
    assert train["y"] == pytest.approx([95, 95, 95])
    assert train_mean["y"] == pytest.approx([95, 96, 96])
    assert [one["style"] for one in (natural, train, natural_mean)] == ["-", "-", "--"]
    assert [one["filled"] for one in (natural, train)] == [True, False]
    one, mean = lines(found[attack])
    assert one["y"] == pytest.approx([0.75, 0.5, 0.45])
    assert mean["y"] == pytest.approx([0.75, 0.53, 0.48])
    assert one["ends"] == pytest.approx(np.add([[-0.005], [0.005]], one["y"]))
    assert [0.5, 0.5] in [list(np.asarray(line.get_ydata())) for line in found[attack].lines]
    assert lines(found["pgd20, overstated"])[0]["y"] == pytest.approx([5, 30, 30])
    assert found[attack].get_xlabel() == "gamma (0: erm)"


def test_values_of_by_differ_in_colour_and_not_between_draws(noisy):
    noisy["arms"]["one"]["dials"]["members"] = 1.0
    drawing = against_figure(noisy)
    colors = [line["color"] for line in lines(panels(drawing)["lira_online"])]
    assert colors == [style.COLORS[0], style.COLORS[0], style.COLORS[1], style.COLORS[1]]
    assert drawing is not None
    (legend,) = drawing.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        *("members 1", "members 5", "1 draw", "mean of 10 draws", "test", "training")
    ]


@pytest.mark.parametrize("report", [None, {"against": None}, {"against": "sigma"}])
def test_nothing_is_drawn_against_a_dial_that_no_arm_has(noisy, report):
    noisy["report"] = report
    assert against_figure(noisy) is None


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


def test_the_linear_roc_is_of_calibrated_attacks_alone(drawn_noisy):
    (axes,) = panels(drawn_noisy(roc_linear_figure)).values()
    assert (axes.get_xscale(), axes.get_yscale()) == ("linear", "linear")
    curves = [line for line in axes.lines if len(np.asarray(line.get_xdata())) == 3]
    assert [np.asarray(c.get_ydata())[1] for c in curves] == pytest.approx(
        [0.75, 0.5, 0.53, 0.45, 0.48, 0.51]
    )
    assert set(panels(drawn_noisy(roc_figure))) == {"lira_online", "shadow_mlp (shadows: erm)"}


def test_both_readings_of_an_arm_share_colour_and_line_and_the_mean_is_marked(drawn_noisy):
    axes = panels(drawn_noisy(roc_linear_figure))["shadow_mlp (shadows: erm)"]
    curves = [line for line in axes.lines if len(np.asarray(line.get_xdata())) == 3]
    one, mean = curves[1:3]
    assert one.get_color() == mean.get_color() == style.COLORS[1]
    assert one.get_linestyle() == mean.get_linestyle()
    assert (one.get_marker(), mean.get_marker()) == ("None", style.MARKERS[1])


@pytest.mark.parametrize("num_curves", [MOST_BANDS, MOST_BANDS + 1])
def test_intervals_are_drawn_where_they_do_not_cover_each_other(results, num_curves):
    results["arms"] = {f"arm{i}": results["arms"]["erm"] for i in range(num_curves)}
    (axes,) = panels(roc_figure(results)).values()
    bands = [drawn for drawn in axes.collections if isinstance(drawn, PolyCollection)]
    assert len(bands) == (num_curves if num_curves <= MOST_BANDS else 0)
    assert ("without intervals" in captions(results)["roc"]) == (num_curves > MOST_BANDS)


def test_uncalibrated_attacks_have_no_thresholds_and_no_linear_curve(results):
    assert thresholds_figure(results) is None
    assert roc_linear_figure(results) is None


@pytest.mark.parametrize("draw", [against_figure, thresholds_figure, roc_linear_figure])
def test_the_same_results_draw_the_same_bytes(drawn_noisy, noisy, draw):
    assert save(drawn_noisy(draw), "svg") == save(draw(noisy), "svg")
