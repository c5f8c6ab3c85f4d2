import copy

import pytest

from runner.report.sweep import tables
from tests.made.sweep_report import three


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
