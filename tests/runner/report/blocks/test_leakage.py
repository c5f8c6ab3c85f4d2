"""Low false positive rates as tables: three thresholds beside each other, none mistaken."""

import csv
import io
from typing import Any

import pytest

from runner.report.blocks.leakage import leakage_csv, leakage_markdown, leakage_tables
from tests.made.report import figure


@pytest.fixture
def with_pool(results: dict[str, Any]) -> dict[str, Any]:
    """Both arms with pooled figures and thresholds of other models; of trades at none."""
    for place, arm in enumerate(results["arms"].values()):
        lira = arm["membership"]["lira_online"]
        told = {"num_negatives": 5600, "at_zero_false_positives": False}
        rates = {rate: {"tpr": 0.03 + place, **told} for rate in lira["tpr_at_fpr"]}
        rates["1e-05"] = rates["1e-05"] | {"at_zero_false_positives": True}
        lira["pooled"] = {"tpr_at_fpr": rates}
        lira["at_shadow_thresholds"] = {
            rate: {
                "tpr": figure(0.05),
                "fpr": figure(1.26 * float(rate), 0.0),
                "ppv": None if rate == "1e-05" else figure(0.4),
                "prior": 0.01,
            }
            for rate in rates
        }
    results["arms"]["pgd_at"]["membership"]["lira_online"]["at_shadow_thresholds"] = None
    return results


def test_each_rate_has_its_table_the_lowest_first_with_a_row_for_each_arm(with_pool):
    tables = leakage_tables(with_pool)
    titles = ["At 0 false positives", "At an FPR of 0.1 %", "At an FPR of 1 %", "At an FPR of 10 %"]
    assert [table.title for table in tables] == titles
    assert [[row[0] for row in table.rows] for table in tables] == [["erm", "pgd_at"]] * 4
    own, pooled, tpr, fpr, ppv = tables[2].rows[0][2:]
    assert own == "10.0 [9.0, 11.0]"
    assert (pooled, tpr, fpr, ppv) == (
        "3.0",
        "5.0 [3.0, 7.0]",
        "1.3 [1.3, 1.3]",
        "40.0 [38.0, 42.0]",
    )


def test_the_rate_that_is_reached_keeps_two_digits_however_small(with_pool):
    for arm in with_pool["arms"].values():
        for pooled in arm["membership"]["lira_online"]["pooled"]["tpr_at_fpr"].values():
            pooled |= {"num_negatives": 10**7, "at_zero_false_positives": False}
    reached = [table.rows[0][5] for table in leakage_tables(with_pool)]
    assert [text.split()[0] for text in reached] == ["0.0013", "0.13", "1.3", "12.6"]


def test_rates_that_no_pool_can_show_are_one_table(with_pool):
    for arm in with_pool["arms"].values():
        arm["membership"]["lira_online"]["pooled"]["tpr_at_fpr"]["0.001"] |= {
            "num_negatives": 900,
            "at_zero_false_positives": True,
        }
    tables = leakage_tables(with_pool)
    titles = ["At 0 false positives", "At an FPR of 1 %", "At an FPR of 10 %"]
    assert [table.title for table in tables] == titles
    assert [row[0] for row in tables[0].rows] == ["erm", "pgd_at"]


def test_nobody_called_and_no_other_pair_print_a_dash(with_pool):
    lowest = leakage_tables(with_pool)[0]
    assert lowest.rows[0][6] == "–"
    assert lowest.rows[1][4:] == ["–", "–", "–"]


def test_too_few_non_members_are_told_where_they_are_too_few(with_pool):
    lowest, low, one, _ = (table.notes for table in leakage_tables(with_pool))
    assert lowest == ["Non-members: 700 a target, 5,600 pooled."]
    assert "Too few in a target to show this FPR: its TPR is that at 0" in low[0]
    assert one == ["Non-members: 700 a target, 5,600 pooled."]


def test_every_figure_is_in_the_csv_in_full(with_pool):
    rows = list(csv.DictReader(io.StringIO(leakage_csv(with_pool))))
    (found,) = (
        r for r in rows if (r["arm"], r["rate"], r["quantity"]) == ("pgd_at", "0.01", "tpr")
    )
    assert (float(found["mean"]), found["num_negatives"]) == (0.2, "700")
    (found,) = (
        r
        for r in rows
        if (r["arm"], r["rate"], r["quantity"]) == ("erm", "0.01", "ppv_at_shadow_threshold")
    )
    assert (found["mean"], found["prior"]) == ("0.4", "0.01")
    assert not any(r["arm"] == "pgd_at" and "shadow" in r["quantity"] for r in rows)


def test_where_nothing_was_pooled_there_is_no_block(results: dict[str, Any]):
    assert leakage_markdown(results) == ""
    assert leakage_tables(results) == []


def test_the_prior_is_named_and_what_pooling_takes_for_granted(with_pool):
    text = leakage_markdown(with_pool)
    assert "PPV (%) at a prior of 1 %" in text
    assert "comparable, as LiRA and RMIA do, and not of a raw loss." in text
