"""The one table of quantities: what stands in it is read, named and printed everywhere alike."""

import csv
import io
from typing import Any

import pytest

from runner.report.page import html
from runner.report.quantities import QUANTITIES, Quantity, every_figure, shown_rate, tpr
from runner.report.table import markdown, table_csv
from tests.made.html_page import Page
from tests.made.report import figure


@pytest.mark.parametrize(
    ("new", "metric", "path", "cell", "detail"),
    [
        (Quantity("margin", "margin", 1, 2, "nats"), "margin", [], "0.50", "0.50 nats"),
        (
            Quantity("curvature", "curvature", of="evasion"),
            "curvature/pgd20",
            ["curvature", "pgd20"],
            "50.0",
            "50.00 %",
        ),
        (
            Quantity("advantage", "advantage", of="membership", designs=""),
            "membership/lira_online/advantage",
            ["membership", "lira_online", "advantage"],
            None,
            "50.00 %",
        ),
        (
            Quantity("by_class/gap", "gap between classes", of="membership"),
            "membership/lira_online/by_class/gap",
            ["membership", "lira_online", "by_class", "gap"],
            "50.0",
            "50.00 %",
        ),
    ],
)
def test_a_line_of_the_table_shows_what_was_measured_wherever_figures_are_shown(
    results: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    new: Quantity,
    metric: str,
    path: list[str],
    cell: str | None,
    detail: str,
):
    monkeypatch.setitem(QUANTITIES, new.key, new)
    for arm in results["arms"].values():
        *down, last = path or [new.key]
        for key in down:
            arm = arm.setdefault(key, {})
        arm[last] = figure(0.5, 0.1)
    rows = list(csv.DictReader(io.StringIO(table_csv(results))))
    assert [row["mean"] for row in rows if row["metric"] == metric] == ["0.5", "0.5"]
    text = " ".join(Page(html(results, {})).text.split())
    assert text.count(f"{metric}{detail} [") == 2
    assert (f"{new.header} |" in markdown(results)) == (cell is not None)
    assert cell is None or markdown(results).count(f"| {cell} [") == 2


def test_a_rate_below_one_percent_has_two_digits_and_a_guess_finds_as_many():
    assert [tpr(at).digits for at in (0.0, 0.001, 0.01, 0.1)] == [2, 2, 1, 1]
    assert tpr(0.001).header == "TPR at 0.1 % FPR (%)"
    assert tpr(0.001).guess == pytest.approx(0.1)
    assert tpr(0.0).header == "TPR at 0 false positives (%)"


@pytest.mark.parametrize(
    ("rates", "shown"),
    [([0.1, 0.001, 1e-5], 0.001), ([0.1, 0.01, 0.0], 0.01), ([0.0], 0.0)],
)
def test_the_rate_that_is_drawn_is_the_papers_or_the_smallest_that_was_resolved(
    rates: list[float], shown: float
):
    assert shown_rate(rates) == shown


def test_what_is_no_share_of_anything_has_no_percent():
    in_percent = {"natural_accuracy", "train_accuracy", "robust_accuracy", "tpr_at_fpr"}
    in_percent |= {"precision", "recall", "ceiling/audit/tpr_at_fpr"}
    assert {key for key, one in QUANTITIES.items() if one.unit == "%"} == in_percent
    assert {key for key, one in QUANTITIES.items() if one.unit == "points"} == {
        "generalization_gap"
    }
    assert all((one.scale == 100) == (one.unit in ("%", "points")) for one in QUANTITIES.values())


def test_a_lower_bound_on_epsilon_stands_without_a_unit_wherever_it_is_shown(
    results: dict[str, Any],
):
    bound = figure(1.31, 0.2) | {"delta": 1e-5, "largest": 5.0}
    for arm in results["arms"].values():
        arm["membership"]["lira_online"]["epsilon_lower_bound"] = bound
    text = " ".join(Page(html(results, {})).text.split())
    assert text.count("membership/lira_online/epsilon_lower_bound1.31 [1.11, 1.51]") == 2
    assert "1.51] %" not in text
    assert QUANTITIES["epsilon_lower_bound"].header == "epsilon at least"


def test_metrics_come_in_the_order_of_the_table(results: dict[str, Any]):
    assert [metric for metric, _ in every_figure(results["arms"]["erm"])] == [
        "natural_accuracy",
        "train_accuracy",
        "robust_accuracy/pgd20",
        "membership/lira_online/auc",
        "membership/lira_online/tpr_at_zero_false_positives",
        "membership/lira_online/tpr_at_fpr/0.01",
        "membership/lira_online/tpr_at_fpr/0.1",
        "null_control/auc",
        "train_time_s",
    ]
