from typing import Any

import numpy as np
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from runner.report import style
from runner.report.blocks import captions
from runner.report.blocks.roc import MOST_BANDS, roc_figure, roc_linear_figure
from tests.made.drawn import panels


def drawn(results: dict[str, Any]) -> Figure:
    figure = roc_figure(results)
    assert figure is not None
    return figure


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


def test_each_membership_attack_has_a_panel_with_a_curve_an_arm(results):
    for arm in results["arms"].values():
        arm["membership"]["rmia"] = arm["membership"]["lira_online"]
    results["attacks"]["membership"]["rmia"] = "RMIA"
    figure = drawn(results)
    assert [axes.get_title() for axes in figure.axes] == ["lira_online", "rmia"]
    for axes in figure.axes:
        curves = [line for line in axes.lines if len(np.asarray(line.get_xdata())) == 4]
        assert [list(np.asarray(c.get_ydata())) for c in curves] == [
            [0.05, 0.1, 0.4, 1.0],
            [0.1, 0.2, 0.8, 1.0],
        ]
        assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")


def test_the_smallest_rate_that_can_be_seen_is_marked(drawn_small):
    (axes,) = drawn_small(roc_figure).axes
    assert [1 / 700, 1 / 700] in [list(np.asarray(line.get_xdata())) for line in axes.lines]
    assert axes.get_xlim() == (1e-3, 1)


def test_an_arm_without_a_curve_keeps_the_colours_of_the_others(results):
    del results["arms"]["erm"]["membership"]["lira_online"]["roc"]
    (axes,) = drawn(results).axes
    (curve,) = [line for line in axes.lines if len(np.asarray(line.get_xdata())) == 4]
    assert curve.get_color() == style.COLORS[1]
