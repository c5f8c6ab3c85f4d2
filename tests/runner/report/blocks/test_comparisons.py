import csv
import io
from typing import Any

from runner.report.blocks import files, on_page
from runner.report.blocks.comparisons import BLOCK, comparisons_csv, comparisons_markdown
from tests.made.report import figure, small_results


def between(mean: float, low: float, high: float) -> dict[str, Any]:
    return {"mean": mean, "low": low, "high": high, "num_models": 8}


def compared(**changed: Any) -> dict[str, Any]:
    """Two arms of `small_results`, which have too few non-members for 0.1 % and 0.001 % FPR."""
    leakage = "membership/lira_online"
    measures = {
        "natural_accuracy": between(0.002, -0.01, 0.014),
        "robust_accuracy/pgd20": between(0.55, 0.5, 0.6),
        f"{leakage}/auc": between(0.1, -0.01, 0.21),
        f"{leakage}/tpr_at_fpr/0.01": between(-0.031, -0.05, -0.012),
        f"{leakage}/tpr_at_fpr/0.001": between(0.01, -0.01, 0.03),
        f"{leakage}/tpr_at_fpr/1e-05": between(0.01, -0.01, 0.03),
        **changed,
    }
    one = {"arm": "pgd_at", "against": "erm", "draws": 1, "measures": measures}
    return small_results() | {"comparisons": [one]}


def test_a_sentence_tells_what_rises_and_one_what_falls_where_intervals_leave_zero_out():
    found = comparisons_markdown(compared())
    told = [line for line in found.splitlines() if line.startswith("- ")]
    lira = "(lira_online)"
    assert told == [
        r"- pgd_at raises accuracy under pgd20 by 55.0 points \[50.0, 60.0\] against erm.",
        rf"- pgd_at lowers TPR at 1 % FPR {lira} by 3.1 points \[1.2, 5.0\] against erm.",
    ]
    results = compared(**{"membership/lira_online/auc": between(0.1, 0.01, 0.19)})
    assert (
        r"- pgd_at raises accuracy under pgd20 by 55.0 points \[50.0, 60.0\]; "
        rf"AUC {lira} by 0.100 \[0.010, 0.190\] against erm."
    ) in comparisons_markdown(results).splitlines()


def test_arms_that_no_interval_tells_apart_are_said_to_be_so():
    nothing = {key: figure(0.0) for key in compared()["comparisons"][0]["measures"]}
    found = comparisons_markdown(compared(**nothing))
    assert "- Nothing here tells pgd_at from erm: all intervals hold 0." in found.splitlines()
    assert "5 intervals" in found
    assert found.endswith("about 0.2 would leave 0 out by chance; 0 do.\n")


def test_the_table_tells_rates_at_zero_false_positives_once():
    found = comparisons_markdown(compared())
    rows = [line for line in found.splitlines() if line.startswith("| ")]
    assert rows[0] == "| first less second | pgd_at − erm |"
    assert rows[2] == r"| natural accuracy, points | 0.2 \[-1.0, 1.4\] |"
    assert rows[4] == r"| AUC (lira_online) | 0.100 \[-0.010, 0.210\] |"
    assert rows[6:] == [
        r"| TPR at 0 false positives (lira_online), points | 1.00 \[-1.00, 3.00\] |"
    ]
    assert "5 intervals" in found
    assert "about 0.2 would leave 0 out by chance; 2 do" in found


def test_randomized_arms_say_of_how_many_draws():
    results = compared()
    results["arms"]["pgd_at"]["randomized"] = True
    found = comparisons_markdown(results)
    assert "pgd_at − erm · 1 draw" in found
    assert "against erm (1 draw)." in found


def test_the_csv_has_every_difference_in_full():
    written = list(csv.DictReader(io.StringIO(comparisons_csv(compared()))))
    assert len(written) == 6
    rate = "membership/lira_online/tpr_at_fpr/0.01"
    (tpr,) = (row for row in written if row["measure"] == rate)
    assert (tpr["arm"], tpr["against"], float(tpr["low"])) == ("pgd_at", "erm", -0.05)


def test_the_block_is_in_the_report_where_something_was_compared():
    assert files(compared())["comparisons.csv"] == comparisons_csv(compared())
    html = BLOCK.on_page(compared(), {})
    assert html in on_page(compared(), {}, {})
    assert "Differences between arms</h2>" in html
    assert "<li>pgd_at lowers TPR" in html
    for nothing in (small_results(), small_results() | {"comparisons": []}):
        assert files(nothing)["comparisons.md"] is None
        assert BLOCK.on_page(nothing, {}) == ""


def test_nothing_is_said_of_seeds_that_nobody_told_and_of_models_beyond_one_pair():
    usual = comparisons_markdown(compared())
    assert "from the same seed; 95 % intervals" in usual
    assert "One pair of models alone" not in usual
    given = comparisons_markdown(compared() | {"design": {"name": "given", "num_models": 8}})
    assert "both trained on the same examples; 95 % intervals" in given
    pair = {"membership/lira_online/auc": between(0.1, 0.01, 0.19) | {"num_models": 2}}
    assert "these two on new examples, not of new models." in comparisons_markdown(compared(**pair))
