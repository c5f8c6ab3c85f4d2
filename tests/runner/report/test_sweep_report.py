import copy
import pathlib
import re
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_hex

from runner.report import style
from runner.report.sweep import tables
from runner.report.sweep.axis_figure import axis_caption, axis_figure
from runner.report.sweep.page import html, write_sweep_report
from runner.report.sweep.pareto_figure import pareto_caption, pareto_figure
from runner.report.sweep.readings import Trial, axis_names, best_of, number
from runner.report.sweep_scale import norm_of, scale_of
from tests.runner.report.test_page import Page

WEIGHT, BASE = "arms.demem.defense.weight", "arms.demem.defense.base"
Three = dict[str, Any]


def three(natural: float, robust: float | None, leakage: float, num_models: int) -> Three:
    """Figures whose intervals reach 0.01 to either side."""
    found = {"natural": natural, "robust": robust, "leakage": leakage}
    return {
        key: None
        if mean is None
        else {"mean": mean, "low": mean - 0.01, "high": mean + 0.01, "num_models": num_models}
        for key, mean in found.items()
    }


def trial(
    place: int,
    setting: dict[str, Any],
    figures: tuple[float, float | None, float] | None,
    **facts: Any,
) -> dict:
    """A setting that reached 16 models; none where it has no figures."""
    base = three(0.8, 0.36, 0.2, 16)
    return {
        "id": f"t{place}",
        "setting": setting,
        "labels": {axis: str(value) for axis, value in setting.items()},
        "state": "finished",
        "why": "",
        "num_models": 16 if figures else 0,
        "by_rung": {"16": {**three(*figures, 16), "base": base}} if figures else {},
        "figures": {},
        "on_front": bool(figures),
        "meets_constraint": bool(figures),
        **facts,
    }


def sweep(trials: list[dict], axes: list[str]) -> dict[str, Any]:
    return {
        "sweep": "weights",
        "description": "What it is.",
        "arm": "demem",
        "base": "pgd_at",
        "axes": axes,
        "search": {"name": "grid", "num_trials": None, "at_once": 4, "seed": 0},
        "rungs": [8, 16],
        "objectives": {
            "robustness": "pgd20",
            "membership": "lira_online",
            "false_positive_rate": 0.001,
        },
        "trials": trials,
        "recommended": None,
        "recommended_why": "no setting meets the constraint",
        "runs": {"trained": 64, "reused": 16},
        "warnings": [],
        "versions": {"torch": "2.11.0"},
        "git_commit": "0123456789ab",
    }


def by_weight() -> dict[str, Any]:
    """Four weights that were measured, one of them by 8 models alone, and one that failed."""
    figures = [(0.8, 0.36, 0.2), (0.79, 0.34, 0.1), (0.78, 0.35, 0.15), (0.7, 0.3, 0.12)]
    weights = (0.0, 0.4, 0.2, 1.0)
    trials = [
        trial(i, {WEIGHT: w}, f) for i, (w, f) in enumerate(zip(weights, figures, strict=True))
    ]
    at_8 = {"8": {**three(*figures[3], 8), "base": three(0.8, 0.36, 0.2, 8)}}
    trials[3] |= {"state": "stopped", "why": "worse than t1", "num_models": 8, "by_rung": at_8}
    trials[3] |= {"on_front": False}
    trials.append(trial(4, {WEIGHT: 10.0}, None, state="failed", why="loss is NaN"))
    return sweep(trials, [WEIGHT])


def with_a_choice() -> dict[str, Any]:
    """The same, with t1 recommended: it leaks 10 % by its own models and 15 % by fresh ones."""
    results = by_weight()
    facts = {key: results["trials"][1][key] for key in ("id", "setting", "labels")}
    afresh = {"fresh": three(0.79, 0.33, 0.15, 32), "fresh_base": three(0.8, 0.36, 0.21, 32)}
    before = {"flattered": three(0.79, 0.34, 0.1, 16), "flattered_base": three(0.8, 0.36, 0.2, 16)}
    results["recommended"] = {**facts, **afresh, **before, "seed": 1, "num_models": 32}
    results["recommended_why"] = "the least leakage within 2 points"
    return results


@pytest.fixture
def one_axis() -> dict[str, Any]:
    return by_weight()


@pytest.fixture
def chosen() -> dict[str, Any]:
    return with_a_choice()


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The folder of a report, written once; a test may read it."""
    folder = tmp_path_factory.mktemp("sweep")
    write_sweep_report(with_a_choice(), folder)
    return folder


@pytest.fixture
def two_bases() -> dict[str, Any]:
    """Two bases by three weights, that span 1000 times."""
    settings = [{BASE: base, WEIGHT: w} for base in ("pgd_at", "trades") for w in (0.1, 0.001, 1.0)]
    leakage = (0.2, 0.3, 0.1, 0.15, 0.25, 0.05)
    figures = [(0.8, 0.3 + at, at) for at in leakage]
    return sweep(
        [trial(i, s, f) for i, (s, f) in enumerate(zip(settings, figures, strict=True))],
        [BASE, WEIGHT],
    )


def panels(figure: Any) -> list[Any]:
    """What a figure holds; the colour bar is the last."""
    assert figure is not None
    return figure.axes


def named(axes: Any, label: str) -> list[list[tuple[float, float]]]:
    """The points of the lines of a name, rounded."""
    lines = [line for line in axes.lines if line.get_label() == label]
    return [[(round(x, 6), round(y, 6)) for x, y in line.get_xydata()] for line in lines]


def test_the_staircase_leaves_out_what_another_setting_beats_in_its_panel(one_axis):
    figure = panels(pareto_figure(one_axis))
    robust, natural = figure[:2]
    assert named(robust, "_front") == [[(34, 10), (35, 15), (36, 20)]]
    # t2 leaks more than t1 and is no more accurate on natural images
    assert named(natural, "_front") == [[(79, 10), (80, 20)]]
    (stairs,) = [line for line in robust.lines if line.get_label() == "_front"]
    assert stairs.get_drawstyle() == "steps-pre"


@pytest.mark.parametrize("seed", range(5))
def test_best_of_finds_what_comparing_every_two_finds(seed):
    drawn = np.random.default_rng(seed).integers(0, 8, (30, 2)) / 8
    some = [Trial(str(i), {}, {}, 16, {}, None, True) for i in range(30)]
    found = best_of(some, lambda one: (drawn[int(one.id)][0], drawn[int(one.id)][1]))
    got = [tuple(drawn[int(one.id)]) for one in found]
    beaten = [
        any(b[0] >= a[0] and b[1] <= a[1] and tuple(b) != tuple(a) for b in drawn) for a in drawn
    ]
    assert got == sorted({tuple(a) for a, lost in zip(drawn, beaten, strict=True) if not lost})


def test_settings_of_fewer_models_are_hollow_and_faint(one_axis):
    figure = panels(pareto_figure(one_axis))
    points = {c.lines[0].get_xdata()[0]: c.lines[0] for c in figure[0].containers}
    assert points[30].get_markerfacecolor() == style.PAPER
    assert points[30].get_alpha() < 1
    assert points[34].get_markerfacecolor() != style.PAPER
    assert points[34].get_alpha() is None
    assert "stopped at 8 models" in pareto_caption(one_axis)
    assert "ring" not in pareto_caption(one_axis)


def test_error_bars_reach_to_the_ends_of_both_intervals(one_axis):
    figure = panels(pareto_figure(one_axis))
    _, _, (across, up) = figure[0].containers[1].lines
    assert np.ravel(across.get_segments()) == pytest.approx([33, 10, 35, 10])
    assert np.ravel(up.get_segments()) == pytest.approx([34, 9, 34, 11])


def test_a_line_leads_from_what_was_chosen_to_what_was_measured_afresh(chosen):
    figure = panels(pareto_figure(chosen))
    robust, natural = figure[:2]
    assert named(robust, "_flattery") == [[(34, 10), (33, 15)], [(36, 20), (36, 21)]]
    assert named(natural, "_flattery")[0] == [(79, 10), (79, 15)]
    marks = {c.lines[0].get_marker(): c.lines[0].get_xydata()[0] for c in robust.containers}
    assert marks["D"] == pytest.approx((33, 15))
    (rings,) = [line for line in robust.lines if line.get_markersize() == 13]
    assert rings.get_xydata()[0] == pytest.approx((34, 10))
    assert "flattered" in pareto_caption(chosen)


def test_numbers_are_told_by_a_colour_bar_and_names_by_colours_and_marks(one_axis, two_bases):
    figure = panels(pareto_figure(one_axis))
    assert figure[-1].get_ylabel() == "weight"
    colors = [to_hex(c.lines[0].get_color()) for c in figure[0].containers[:4]]
    assert colors[0] == style.COLORS[0].lower()  # the least weight
    assert colors[3] == style.COLORS[4].lower()  # the greatest
    figure = panels(pareto_figure(two_bases))
    assert len(figure) == 2
    drawn = [to_hex(c.lines[0].get_color()).upper() for c in figure[0].containers[:6]]
    assert drawn == [style.COLORS[0]] * 3 + [style.COLORS[1]] * 3
    two_bases["axes"] = [WEIGHT, BASE]
    figure = panels(pareto_figure(two_bases))
    marks = [c.lines[0].get_marker() for c in figure[0].containers[:6]]
    assert marks == ["o"] * 3 + ["^"] * 3


def test_without_a_robust_objective_there_is_one_panel_and_auc_is_no_percentage(one_axis):
    one_axis["objectives"] |= {"robustness": None, "false_positive_rate": None}
    for one in one_axis["trials"]:
        for figures in one["by_rung"].values():
            figures["robust"] = None
    figure = panels(pareto_figure(one_axis))
    panel, _ = figure
    assert (panel.get_xlabel(), panel.get_ylabel()) == (
        "natural accuracy (%)",
        "lira_online: AUC",
    )
    assert [0.5, 0.5] in [list(line.get_ydata()) for line in panel.lines]
    assert "| t0 | 0.0 | 16 | 80.0 \\[79.0, 81.0\\] | 0.200 \\[0.190, 0.210\\] |" in (
        tables.trials_markdown(one_axis)
    )
    figure = panels(axis_figure(one_axis))
    assert len(figure) == 2


def test_there_is_a_rising_line_for_each_name_and_the_base_beside_it(two_bases):
    figure = panels(axis_figure(two_bases))
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
    figure = panels(axis_figure(results))
    assert [axes.get_xlabel() for axes in figure] == ["weight"] * 3 + ["lr"] * 3
    for axes in figure:
        (points,) = axes.containers
        assert points.lines[0].get_linestyle() == "None"
        assert all(len(line.get_xdata()) != 3 for line in axes.lines if line.get_marker() == "None")
    assert "differ in the other axes too" in axis_caption(results)


@pytest.mark.parametrize(
    ("numbers", "scale"),
    [
        ([0.1, 0.2, 3.0], "linear"),
        ([0.1, 3.1], "log"),
        ([0.0, 0.1, 0.2], "linear"),
        ([0.0, 0.01, 1.0], "symlog"),
        ([-1.0, 0.01, 1.0], "linear"),
        ([0.0, 1.0], "linear"),
    ],
)
def test_numbers_that_span_more_than_thirty_times_are_laid_out_by_logarithm(numbers, scale):
    assert scale_of(numbers)["value"] == scale
    at = norm_of(numbers)(numbers)
    assert (at[0], at[-1]) == (0, 1)
    assert (np.diff(at) > 0).all()


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.2, 0.2), (3, 3.0), ("8/255", 8 / 255), ("1e-3", 1e-3)],
)
def test_numbers_are_read_as_configurations_write_them(value, expected):
    assert number(value) == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize("value", [True, None, "trades", "1/0", {"name": "trades"}, [1]])
def test_what_is_no_number_is_none(value):
    assert number(value) is None


def test_an_axis_is_called_by_as_much_of_its_key_as_no_other_shares():
    axes = ["arms.demem.defense.weight", "training.lr", "arms.a.eps", "arms.b.eps"]
    assert [*axis_names({"axes": axes}).values()] == ["weight", "lr", "a.eps", "b.eps"]


def test_the_tables_show_every_setting_and_the_front_least_leaky_first(chosen):
    text = tables.trials_markdown(chosen)
    cells = "| t1 | 0.4 | 16 | 79.0 [78.0, 80.0] | 34.0 [33.0, 35.0] | 10.00 [9.00, 11.00] |"
    plain = text.replace("\\", "")
    assert f"{cells} finished | front, recommended |" in plain
    assert "| t3 | 1.0 | 8 |" in plain
    assert "| stopped: worse than t1 |" in plain
    assert "| t4 | 10.0 | – | – | – | – | failed: loss is NaN |  |" in plain
    assert [line.id for line in tables.lines(chosen, front=True)] == ["t1", "t2", "t0"]
    plain = tables.pareto_markdown(chosen).replace("\\", "")
    assert "| weight 0.4: fresh seed 1, 32 models | 79.0 [78.0, 80.0] | 33.0" in plain
    assert "| pgd_at: as it was chosen against | 80.0" in plain


@pytest.mark.parametrize(
    ("leakage", "told"),
    [
        (0.18, "it leaks less than pgd_at, beyond the intervals"),
        (0.195, "the intervals overlap: this sweep does not show that it leaks less than pgd_at"),
        (0.24, "it leaks more than pgd_at, beyond the intervals"),
    ],
)
def test_the_verdict_is_that_of_the_fresh_models(chosen, leakage, told):
    chosen["recommended"]["fresh"] = three(0.8, 0.3, leakage, 32)
    assert told in tables.verdict(chosen)
    assert f"{100 * leakage:.2f}" in tables.verdict(chosen)


def test_the_verdict_says_what_is_missing(chosen, one_axis):
    base = chosen["recommended"].pop("fresh_base")
    assert "no base that was measured afresh" in tables.verdict(chosen)
    chosen["recommended"]["fresh_base"] = copy.deepcopy(base)
    chosen["recommended"]["fresh_base"]["leakage"] |= {"low": None, "high": None}
    assert "without intervals, this sweep does not show" in tables.verdict(chosen)
    chosen["recommended"]["fresh"] = None
    assert "was not measured afresh" in tables.verdict(chosen)
    one_axis["recommended"], one_axis["recommended_why"] = None, "nothing was measured."
    expected = "No setting is recommended: nothing was measured."
    assert tables.verdict(one_axis) == expected


def test_the_report_is_these_files(written):
    drawn = {f"{name}.{form}" for name in ("pareto", "axes") for form in ("svg", "pdf")}
    assert {p.name for p in written.iterdir()} == {"index.html", "trials.md", "pareto.md", *drawn}


def test_the_same_sweep_gives_the_same_bytes(written, chosen, tmp_path):
    index = write_sweep_report(chosen, tmp_path / "made" / "report")
    assert index == tmp_path / "made" / "report" / "index.html"
    for path in written.iterdir():
        assert path.read_bytes() == (index.parent / path.name).read_bytes(), path.name


def test_a_figure_that_no_longer_applies_is_removed(chosen, tmp_path):
    for name in ("pareto.svg", "axes.pdf", "trials.csv"):
        (tmp_path / name).write_text("of before")
    chosen |= {"trials": [chosen["trials"][4]], "recommended": None}
    write_sweep_report(chosen, tmp_path)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"index.html", "trials.md", "pareto.md", "trials.csv"}


def test_the_page_needs_nothing_from_elsewhere(written):
    text = (written / "index.html").read_text("utf-8")
    page = Page(text)
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "link", "img", "iframe"})
    assert [tag for tag, _ in page.tags].count("svg") == 2
    targets = [v or "" for _, attributes in page.tags for k, v in attributes.items() if "href" in k]
    assert targets
    assert all(t.startswith("#") or (written / t).is_file() for t in targets)
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:url\(|href=")#([^")]+)', text)) <= set(ids)
    # ink and paper are those of the page, light or dark
    assert not any(color in text.partition("<svg")[2] for color in (style.INK, style.PAPER))


def test_text_of_the_user_is_escaped(chosen):
    evil = '<b>&"|</b><script>alert(1)</script>'
    for key in ("sweep", "description", "recommended_why", "arm", "base"):
        chosen[key] = f"{key} {evil}"
    chosen["warnings"] = [f"warning {evil}"]
    chosen["trials"][4]["why"] = f"why {evil}"
    chosen["recommended"]["labels"] = {WEIGHT: f"label {evil}"}
    page = Page(html(chosen, {}))
    assert {tag for tag, _ in page.tags}.isdisjoint({"b", "script"})
    for what in ("sweep", "description", "arm", "base", "warning", "why", "label"):
        assert f"{what} {evil}" in page.text
    assert "<script>" not in tables.trials_markdown(chosen)


def test_many_settings_of_ten_axes_are_drawn():
    draw = np.random.default_rng(0)
    axes = [f"arms.demem.{name}" for name in "abcdefghij"]
    trials = [
        trial(i, {axis: float(draw.uniform(0.01, 1)) for axis in axes}, (0.8, None, 0.1))
        for i in range(40)
    ]
    results = sweep(trials, axes)
    results["objectives"]["robustness"] = None
    figure = panels(axis_figure(results))
    assert len(figure) == 20
    assert len(tables.lines(results)) == 40
    assert Page(html(results, {})).text.count("finished") == 2 * 40 + 1


def test_one_setting_and_settings_that_differ_in_names_alone_have_no_axes(two_bases):
    for one in two_bases["trials"]:
        one["setting"][WEIGHT], one["labels"][WEIGHT] = 0.2, "0.2"
    assert axis_figure(two_bases) is None
    two_bases["trials"] = two_bases["trials"][:1]
    assert axis_figure(two_bases) is None
    assert pareto_figure(two_bases) is not None
