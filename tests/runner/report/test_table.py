import csv
import io
import math
import re
from collections import Counter

import pytest
from rich.console import Console

from runner.report.columns import main_columns, rows
from runner.report.table import latex, markdown, table_csv, terminal_table
from tests.made.report_tables import column


def test_a_randomized_arm_has_two_rows_side_by_side(noisy):
    assert column(markdown(noisy), "natural accuracy (%)") == {
        "erm": "90.0 [88.0, 92.0]",
        "half · 1 draw": "90.0 [88.0, 92.0]",
        "half · mean of 10 draws": "92.0 [90.0, 94.0]",
        "one · 1 draw": "90.0 [88.0, 92.0]",
        "one · mean of 10 draws": "92.0 [90.0, 94.0]",
        "dp_sgd": "90.0 [88.0, 92.0]",
    }
    console = Console(width=200, file=io.StringIO(), color_system=None)
    console.print(terminal_table(noisy))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    for written in (text, latex(noisy).replace(r"\textperiodcentered{}", "·")):
        assert [written.count(f"half · {draws}") for draws in ("1 draw", "mean of 10")] == [1, 1]


def test_what_is_overstated_is_marked_in_every_form_with_the_reason(noisy, results):
    found = column(markdown(noisy), "pgd20: robust accuracy (%)")
    assert found["half · 1 draw"] == found["one · mean of 10 draws"] == "30.0† [28.0, 32.0]"
    assert found["dp_sgd"] == "20.0 [18.0, 22.0]"
    assert "† Overstated: the attack does not average over the noise" in markdown(noisy)
    assert latex(noisy).count(r"30.0\dag{} [28.0, 32.0]") == 4
    lines = list(csv.DictReader(io.StringIO(table_csv(noisy))))
    marked = [(x["arm"], x["metric"], x["draws"]) for x in lines if x["overstated"] == "yes"]
    assert marked == [
        (arm, "robust_accuracy/pgd20", draws) for arm in ("half", "one") for draws in ("1", "10")
    ]
    for arm in noisy["arms"].values():
        arm["overstated"] = []
    assert "†" not in markdown(noisy)


def test_training_accuracy_and_gap_are_in_the_table_of_quarters_and_always_in_the_csv(noisy):
    assert column(markdown(noisy), "training accuracy (%)")["erm"] == "95.0 [93.0, 97.0]"
    gaps = column(markdown(noisy), "generalization gap (points)")
    assert gaps["half · mean of 10 draws"] == "4.0 [2.0, 6.0]"
    noisy["design"]["name"] = "pairs"
    assert "gap" not in markdown(noisy)
    lines = list(csv.DictReader(io.StringIO(table_csv(noisy))))
    assert [x["arm"] for x in lines if x["metric"] == "generalization_gap"] == [
        *("erm", "half", "half", "one", "one", "dp_sgd")
    ]


def test_csv_says_over_how_many_draws_each_figure_is(noisy):
    lines = list(csv.DictReader(io.StringIO(table_csv(noisy))))
    of_half = {(x["metric"], x["draws"]): x for x in lines if x["arm"] == "half"}
    assert float(of_half["natural_accuracy", "1"]["mean"]) == 0.9
    assert float(of_half["natural_accuracy", "10"]["mean"]) == 0.92
    precision = "membership/shadow_mlp/precision_at_threshold/0.5"
    assert float(of_half[precision, "1"]["mean"]) == 0.55
    assert float(of_half[precision, "10"]["mean"]) == 0.58
    assert ("train_time_s", "10") not in of_half
    assert {x["draws"] for x in lines if x["arm"] == "dp_sgd"} == {"1"}


def terminal(results, width: int = 200) -> str:
    console = Console(width=width, file=io.StringIO(), color_system=None)
    console.print(terminal_table(results))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_markdown_has_a_row_an_arm_and_a_column_a_quantity(results):
    lines = markdown(results).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:6]]
    assert cells[0] == [
        "arm",
        "models",
        "natural accuracy (%)",
        "pgd20: robust accuracy (%)",
        "lira_online: AUC",
        "lira_online: TPR at 0 false positives (%)",
        "lira_online: TPR at 1 % FPR (%)",
        "lira_online: TPR at 10 % FPR (%)",
    ]
    assert cells[2] == [
        "erm",
        "8",
        "90.0 [88.0, 92.0]",
        "5.0 [3.0, 7.0]",
        "0.700 [0.695, 0.705]",
        "5.00 [4.00, 6.00]",
        "10.0 [9.0, 11.0]",
        "40.0 [39.0, 41.0]",
    ]
    assert cells[3][:4] == ["pgd_at", "8", "90.0 [88.0, 92.0]", "60.0 [58.0, 62.0]"]


@pytest.mark.parametrize("written", [markdown, latex])
def test_rates_below_what_can_be_seen_are_one_column(results, written):
    text = written(results)
    assert text.count("TPR at 0 false positives") == 1
    assert "0.001" not in text
    for arm in results["arms"].values():
        for rate in arm["membership"]["lira_online"]["tpr_at_fpr"].values():
            rate["at_zero_false_positives"] = False
    text = written(results).replace("\\", "")
    assert "0 false positives" not in text
    assert "TPR at 0.001 % FPR" in text
    assert "TPR at 0.1 % FPR" in text


def test_what_is_missing_or_not_finite_prints_as_a_dash(results):
    arm = results["arms"]["erm"]
    arm["natural_accuracy"]["mean"] = math.nan
    del arm["robust_accuracy"]["pgd20"]
    arm["membership"]["lira_online"]["auc"] = None
    arm["membership"]["lira_online"]["tpr_at_fpr"]["0.01"]["high"] = math.inf
    row = markdown(results).splitlines()[4]
    assert row == "| erm | 8 | – | – | – | 5.00 [4.00, 6.00] | 10.0 [9.0, –] | 40.0 [39.0, 41.0] |"
    arm["membership"] = {}
    assert markdown(results).splitlines()[4].endswith("| – | – | – | – | – | – |")


def test_a_figure_of_fewer_models_than_its_row_says_so(results):
    results["arms"]["erm"]["robust_accuracy"]["pgd20"]["num_models"] = 1
    row = markdown(results).splitlines()[4]
    assert row.startswith("| erm | 8 | 90.0 [88.0, 92.0] | 5.0 [3.0, 7.0] (1 model) | 0.700")


@pytest.mark.parametrize("written", [markdown, latex, terminal])
@pytest.mark.parametrize(
    ("on", "images"), [("test", "test images"), ("non_members", "non-members of each model")]
)
def test_a_table_says_what_its_figures_were_measured_on(results, written, on, images):
    results["evaluation"] |= {"on": on, "num_examples": 1234}
    results["data"]["num_negatives"] = 30000
    note = f"Accuracy over 1,234 {images}; membership against 30,000 non-members of each model."
    assert note in " ".join(written(results).split())


def test_csv_says_what_each_figure_was_measured_on(results):
    results["evaluation"] |= {"on": "non_members", "num_examples": 600}
    lines = csv.DictReader(io.StringIO(table_csv(results)))
    found = {
        line["metric"]: (line["on"], line["num_examples"], line["num_negatives"])
        for line in lines
        if line["arm"] in ("erm", "")
    }
    for metric, measured in found.items():
        kind = metric.split("/")[0]
        assert measured == {
            "natural_accuracy": ("non_members", "600", ""),
            "robust_accuracy": ("non_members", "600", ""),
            "train_accuracy": ("members", "700", ""),
            "train_time_s": ("", "", ""),
        }.get(kind, ("", "", "700")), metric


def test_an_experiment_without_attacks_still_has_a_table(results):
    results["attacks"] = {"robustness": {}, "membership": {}}
    assert markdown(results).splitlines()[4] == "| erm | 8 | 90.0 [88.0, 92.0] |"
    assert r"\begin{tabular}{lrr}" in latex(results)


def test_csv_holds_every_figure_in_full_precision(results):
    third = results["arms"]["erm"]["robust_accuracy"]["pgd20"]
    third.update(mean=1 / 3, low=0.1 + 0.2, high=None)
    lines = list(csv.DictReader(io.StringIO(table_csv(results))))
    of_erm = {line["metric"]: line for line in lines if line["arm"] == "erm"}
    assert list(of_erm) == [
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
    robust = of_erm["robust_accuracy/pgd20"]
    assert float(robust["mean"]) == 1 / 3
    assert float(robust["low"]) == 0.1 + 0.2
    assert (robust["high"], robust["num_models"]) == ("", "8")
    assert [line["metric"] for line in lines if line["arm"] == ""] == ["null_control/auc"]


def test_latex_spans_attacks_and_ends_every_row(results):
    lines = latex(results).splitlines()
    assert lines[1] == r"\begin{tabular}{lrrrrrrr}"
    assert lines[3] == (
        r" &  & \multicolumn{1}{c}{} & \multicolumn{1}{c}{pgd20} "
        r"& \multicolumn{4}{c}{lira\_online} \\"
    )
    assert lines[4] == r"\cmidrule(lr){4-4} \cmidrule(lr){5-8}"
    assert lines[8].startswith(r"pgd\_at & 8 & 90.0 [88.0, 92.0] & 60.0 [58.0, 62.0] & 0.800 ")
    assert all(line.count(" & ") == 7 for line in (lines[5], *lines[7:9]))
    assert lines[9] == r"\bottomrule"
    assert lines[10].startswith(r"\multicolumn{8}{l}{\footnotesize Mean over models with its 95 \%")
    assert lines[11].endswith(r"700 non-members of each model.} \\")
    assert lines[12:] == [r"\end{tabular}"]


def test_names_are_escaped_in_each_form(results):
    name = r"[a_b]|50%&<b>$x^2\{"
    results["arms"] = {name: results["arms"]["erm"]}
    assert r"| \[a_b\]\|50%&amp;&lt;b>$x^2\\{ | 8 |" in markdown(results)
    assert (
        r"{}[a\_b]|50\%\&\textless{}b\textgreater{}\$x\textasciicircum{}2\textbackslash{}\{ & 8 &"
        in latex(results)
    )
    assert next(iter(csv.DictReader(io.StringIO(table_csv(results)))))["arm"] == name
    assert name in terminal(results)


@pytest.mark.parametrize("width", [79, 80, 100])
def test_the_terminal_table_shows_every_cell_in_full(noisy, width):
    for arm in noisy["arms"].values():
        arm["natural_accuracy"] = {"mean": 1, "low": 1, "high": 1, "num_models": 8}
        arm["generalization_gap"] = {"mean": -0.11, "low": -0.11, "high": -0.11, "num_models": 3}
    text = terminal(noisy, width)
    assert max(map(len, text.splitlines())) <= width
    shown = Counter(re.findall(r"\[[^\]\s]+, [^\]\s]+\]|\(\d models\)|\S+", text))
    made = rows(noisy, main_columns(noisy))
    asked = Counter(part for row in made for cell in row.cells for part in cell if part)
    assert asked["[100.0, 100.0]"] == asked["[-11.0, -11.0]"] == 4
    assert asked["(3 models)"] == 4
    assert {part: shown[part] for part in asked if shown[part] < asked[part]} == {}


def test_the_terminal_table_names_each_attack_once(noisy):
    text = terminal(noisy, 200)
    lines = [line.strip() for line in text.splitlines()]
    assert lines.count("shadow_mlp (shadows: erm)") == lines.count("lira_online") == 2
    assert text.count("shadow_mlp") == 2


@pytest.mark.parametrize(("num_arms", "across"), [(2, [2]), (9, [4, 4, 1])])
def test_the_terminal_table_has_at_most_four_arms_beside_each_other(results, num_arms, across):
    results["arms"] = {f"arm{i}": results["arms"]["erm"] for i in range(num_arms)}
    counts = [line.count("arm") for line in terminal(results).splitlines()]
    assert [count for count in counts if count] == across


def test_a_rule_other_than_the_default_is_named_below_the_table(results):
    assert "rule" not in markdown(results)
    results["evaluation"] |= {"tpr_rule": "step_lt"}
    assert "TPR by the rule step-lt." in markdown(results)
