import re

import numpy as np

from runner.report import style
from runner.report.sweep import tables
from runner.report.sweep.axis_figure import axis_figure
from runner.report.sweep.page import sweep_html, write_sweep_report
from tests.made.html_page import Page
from tests.made.sweep_report import WEIGHT, axes_of, sweep, trial


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
    assert {tag for tag, _ in page.tags}.isdisjoint({"link", "img", "iframe"})
    assert page.runs_its_own_script_alone()
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
    page = Page(sweep_html(chosen, {}))
    assert "b" not in {tag for tag, _ in page.tags}
    assert page.runs_its_own_script_alone()
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
    figure = axes_of(axis_figure(results))
    assert len(figure) == 20
    assert len(tables.lines(results)) == 40
    assert Page(sweep_html(results, {})).text.count("finished") == 2 * 40 + 1
