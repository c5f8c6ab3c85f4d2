from runner.report.sweep.axis_figure import axis_caption, axis_figure
from runner.report.sweep.pareto_figure import pareto_figure
from tests.made.sweep_report import WEIGHT, axes_of, sweep, trial


def test_there_is_a_rising_line_for_each_name_and_the_base_beside_it(two_bases):
    figure = axes_of(axis_figure(two_bases))
    natural, _, leakage = figure
    assert leakage.get_xscale() == "log"
    assert [t.get_text() for t in leakage.get_xticklabels()] == ["0.001", "0.1", "1.0"]
    joined = [list(zip(*line.get_data(), strict=True)) for line in leakage.lines]
    assert [(0.001, 30.0), (0.1, 20.0), (1.0, 10.0)] in joined
    assert [(0.001, 25.0), (0.1, 15.0), (1.0, 5.0)] in joined
    dashed = [c.lines[0] for c in natural.containers if c.lines[0].get_linestyle() == "--"]
    assert [list(line.get_ydata()) for line in dashed] == [[80, 80, 80]] * 2


def test_settings_that_differ_in_several_numbers_are_not_joined():
    settings = [{WEIGHT: w, "lr": lr} for w, lr in ((0.1, 1), (0.2, 3), (0.3, 2))]
    results = sweep([trial(i, s, (0.8, 0.3, 0.1)) for i, s in enumerate(settings)], [WEIGHT, "lr"])
    figure = axes_of(axis_figure(results))
    assert [axes.get_xlabel() for axes in figure] == ["weight"] * 3 + ["lr"] * 3
    for axes in figure:
        (points,) = axes.containers
        assert points.lines[0].get_linestyle() == "None"
        assert all(len(line.get_xdata()) != 3 for line in axes.lines if line.get_marker() == "None")
    assert "differ in the other axes too" in axis_caption(results)


def test_one_setting_and_settings_that_differ_in_names_alone_have_no_axes(two_bases):
    for one in two_bases["trials"]:
        one["setting"][WEIGHT], one["labels"][WEIGHT] = 0.2, "0.2"
    assert axis_figure(two_bases) is None
    two_bases["trials"] = two_bases["trials"][:1]
    assert axis_figure(two_bases) is None
    assert pareto_figure(two_bases) is not None
