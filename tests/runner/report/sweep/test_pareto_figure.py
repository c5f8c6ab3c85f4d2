from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_hex

from runner.report import style
from runner.report.sweep import tables
from runner.report.sweep.axis_figure import axis_figure
from runner.report.sweep.pareto_figure import pareto_caption, pareto_figure
from tests.made.sweep_report import BASE, WEIGHT, axes_of


def named(axes: Any, label: str) -> list[list[tuple[float, float]]]:
    """The points of the lines of a name, rounded."""
    lines = [line for line in axes.lines if line.get_label() == label]
    return [[(round(x, 6), round(y, 6)) for x, y in line.get_xydata()] for line in lines]


def test_the_staircase_leaves_out_what_another_setting_beats_in_its_panel(one_axis):
    figure = axes_of(pareto_figure(one_axis))
    robust, natural = figure[:2]
    assert named(robust, "_front") == [[(34, 10), (35, 15), (36, 20)]]
    # t2 leaks more than t1 and is no more accurate on natural images
    assert named(natural, "_front") == [[(79, 10), (80, 20)]]
    (stairs,) = [line for line in robust.lines if line.get_label() == "_front"]
    assert stairs.get_drawstyle() == "steps-pre"


def test_settings_of_fewer_models_are_hollow_and_faint(one_axis):
    figure = axes_of(pareto_figure(one_axis))
    points = {c.lines[0].get_xdata()[0]: c.lines[0] for c in figure[0].containers}
    assert points[30].get_markerfacecolor() == style.PAPER
    assert points[30].get_alpha() < 1
    assert points[34].get_markerfacecolor() != style.PAPER
    assert points[34].get_alpha() is None
    assert "stopped at 8 models" in pareto_caption(one_axis)
    assert "ring" not in pareto_caption(one_axis)


def test_error_bars_reach_to_the_ends_of_both_intervals(one_axis):
    figure = axes_of(pareto_figure(one_axis))
    _, _, (across, up) = figure[0].containers[1].lines
    assert np.ravel(across.get_segments()) == pytest.approx([33, 10, 35, 10])
    assert np.ravel(up.get_segments()) == pytest.approx([34, 9, 34, 11])


def test_a_line_leads_from_what_was_chosen_to_what_was_measured_afresh(chosen):
    figure = axes_of(pareto_figure(chosen))
    robust, natural = figure[:2]
    assert named(robust, "_flattery") == [[(34, 10), (33, 15)], [(36, 20), (36, 21)]]
    assert named(natural, "_flattery")[0] == [(79, 10), (79, 15)]
    marks = {c.lines[0].get_marker(): c.lines[0].get_xydata()[0] for c in robust.containers}
    assert marks["D"] == pytest.approx((33, 15))
    (rings,) = [line for line in robust.lines if line.get_markersize() == 13]
    assert rings.get_xydata()[0] == pytest.approx((34, 10))
    assert "flattered" in pareto_caption(chosen)


def test_numbers_are_told_by_a_colour_bar_and_names_by_colours_and_marks(one_axis, two_bases):
    figure = axes_of(pareto_figure(one_axis))
    assert figure[-1].get_ylabel() == "weight"
    colors = [to_hex(c.lines[0].get_color()) for c in figure[0].containers[:4]]
    assert colors[0] == style.COLORS[0].lower()  # the least weight
    assert colors[3] == style.COLORS[4].lower()  # the greatest
    figure = axes_of(pareto_figure(two_bases))
    assert len(figure) == 2
    drawn = [to_hex(c.lines[0].get_color()).upper() for c in figure[0].containers[:6]]
    assert drawn == [style.COLORS[0]] * 3 + [style.COLORS[1]] * 3
    two_bases["axes"] = [WEIGHT, BASE]
    figure = axes_of(pareto_figure(two_bases))
    marks = [c.lines[0].get_marker() for c in figure[0].containers[:6]]
    assert marks == ["o"] * 3 + ["^"] * 3


def test_without_a_robust_objective_there_is_one_panel_and_auc_is_no_percentage(one_axis):
    one_axis["objectives"] |= {"robustness": None, "false_positive_rate": None}
    for one in one_axis["trials"]:
        for figures in one["by_rung"].values():
            figures["robust"] = None
    figure = axes_of(pareto_figure(one_axis))
    panel, _ = figure
    assert (panel.get_xlabel(), panel.get_ylabel()) == (
        "natural accuracy (%)",
        "lira_online: AUC",
    )
    assert [0.5, 0.5] in [list(line.get_ydata()) for line in panel.lines]
    assert "| t0 | 0.0 | 16 | 80.0 \\[79.0, 81.0\\] | 0.200 \\[0.190, 0.210\\] |" in (
        tables.trials_markdown(one_axis)
    )
    figure = axes_of(axis_figure(one_axis))
    assert len(figure) == 2
