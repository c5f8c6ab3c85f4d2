"""The strongest attack of each arm, and what attacks have in common."""

import csv
import io

from runner.report.blocks.privacy_robustness import privacy_robustness_figure
from runner.report.blocks.strongest import strongest_csv, strongest_markdown
from runner.report.columns import main_columns
from runner.report.page import html
from runner.report.table import markdown, table_csv
from tests.made.report import several_results, small_results
from tests.made.report_tables import column


def test_tables_open_with_the_strongest_attack_and_the_combination_beside_it():
    results = several_results()
    groups = list(dict.fromkeys(one.group for one in main_columns(results) if one.group))
    assert groups == ["pgd20", "strongest attack", "mean_rank", "lira_online", "rmia"]
    assert column(markdown(results), "strongest attack: AUC")["erm"] == "0.770 [0.760, 0.780]"
    lines = {x["metric"]: x for x in csv.DictReader(io.StringIO(table_csv(results)))}
    assert lines["membership/strongest/tpr_at_zero_false_positives"]["mean"] == "0.05"
    assert "strongest.md says which one it is" in markdown(results)


def test_a_single_attack_has_no_strongest_one():
    assert strongest_markdown(small_results()) == ""
    assert "strongest" not in markdown(small_results())


def test_what_was_chosen_is_told_the_most_often_first_and_what_hardly_was_is_not():
    told = strongest_markdown(several_results())
    assert "| erm | AUC | 0.770 \\[0.760, 0.780\\] | rmia 75 %, mean_rank 25 % |" in told
    assert "| erm | TPR at 0 false positives (%) | 5.00 \\[4.00, 6.00\\] |" in told


def test_what_its_interval_speaks_of_is_told_as_it_was_asked_for():
    results = several_results()
    assert "in new models on new examples.\n" in strongest_markdown(results)
    results["averages"] = {"num_models": None, "interval": "t"}
    assert "in new models on the same examples.\n" in strongest_markdown(results)
    results["averages"]["interval"] = "normal"
    assert "each model is judged by" in strongest_markdown(results)
    results["arms"]["erm"]["strongest"]["auc"]["num_models"] = 2
    assert "nothing is said of new models" in strongest_markdown(results)


def test_members_that_any_attack_finds_stand_beside_the_rate_at_which_it_accuses_others():
    told = strongest_markdown(several_results())
    assert "at 1 % FPR" in told  # 0.1 % is below one false positive
    assert "| erm | 140 of 700 | 20.0 \\[19.0, 21.0\\] | 1.9 \\[1.8, 2.0\\] |" in told
    assert "| lira_online and rmia | 0.25 \\[0.20, 0.30\\] | – |" in told


def test_arms_that_change_places_clearly_have_a_sentence_and_others_are_within_noise():
    told = strongest_markdown(several_results())
    assert (
        "- AUC: erm leaks more than pgd_at by rmia (0.020 \\[0.010, 0.030\\]), and less by "
        "lira_online (0.030 \\[0.020, 0.040\\]).\n" in told
    )
    assert "otherwise: erm and pgd_at (TPR at 0 false positives)." in told
    assert "Of 3 figures of two arms, all attacks order 1 alike" in told
    results = several_results()
    changes = results["places"]["changes"]
    results["places"] |= {"num_compared": 20, "changes": 13 * changes[1:]}
    told = strongest_markdown(results)
    assert "otherwise: two arms by a figure in 13 cases (13 by TPR at 0 false positives)." in told
    results = several_results()
    results["places"]["changes"] = []
    assert "No two arms clearly change places" in strongest_markdown(results)


def test_the_csv_has_every_choice_and_every_overlap():
    lines = list(csv.DictReader(io.StringIO(strongest_csv(several_results()))))
    keys = [(x["arm"], x["quantity"], x["attacks"]) for x in lines]
    share = lines[keys.index(("erm", "chosen for auc", "rmia"))]
    assert share["mean"] == "0.746"
    jaccards = [x["mean"] for x in lines if x["quantity"] == "jaccard" and x["rate"] == "0.01"]
    assert jaccards == ["0.25", ""]


def test_the_page_and_its_figure_open_with_the_strongest_attack():
    results = several_results()
    page = html(results, {})
    assert page.index("The strongest attack</h2>") < page.index("How to read them</h2>")
    figure = privacy_robustness_figure(results)
    assert figure is not None
    assert figure.axes[0].get_ylabel() == "strongest attack: TPR at 1 % FPR (%)"
