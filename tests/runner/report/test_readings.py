import csv
import io

from rich.console import Console

from runner.report.blocks.guarantees import guarantees, guarantees_csv
from runner.report.csv_rows import csv_rows
from runner.report.lower_bounds import lower_bounds, lower_bounds_note
from runner.report.readings import readings
from runner.report.shadows import shadows_told, with_shadows
from runner.report.table import (
    decisions_markdown,
    guarantees_markdown,
    latex,
    markdown,
    terminal_table,
)


def cells(table: str) -> list[list[str]]:
    """The cells of a Markdown table, without the line of dashes."""
    lines = [line[2:-2].split(" | ") for line in table.splitlines() if line.startswith("| ")]
    return [line for line in lines if not line[0].startswith("---")]


def column(table: str, title: str) -> dict[str, str]:
    head, *lines = cells(table)
    return {line[0]: line[head.index(title)] for line in lines}


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


def test_a_randomized_arm_that_was_asked_once_says_so(noisy):
    noisy["arms"]["half"]["averaged"] = None
    labels = [reading.label for reading in readings(noisy)]
    assert labels[:3] == ["erm", "half · 1 draw", "one · 1 draw"]


def test_what_is_overstated_is_marked_in_every_form_with_the_reason(noisy, results):
    found = column(markdown(noisy), "pgd20: robust accuracy (%)")
    assert found["half · 1 draw"] == found["one · mean of 10 draws"] == "30.0† [28.0, 32.0]"
    assert found["dp_sgd"] == "20.0 [18.0, 22.0]"
    assert "† Overstated: the attack does not average over the noise" in markdown(noisy)
    assert latex(noisy).count(r"30.0\dag{} [28.0, 32.0]") == 4
    lines = list(csv.DictReader(io.StringIO(csv_rows(noisy))))
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
    lines = list(csv.DictReader(io.StringIO(csv_rows(noisy))))
    assert [x["arm"] for x in lines if x["metric"] == "generalization_gap"] == [
        *("erm", "half", "half", "one", "one", "dp_sgd")
    ]


def test_csv_says_over_how_many_draws_each_figure_is(noisy):
    lines = list(csv.DictReader(io.StringIO(csv_rows(noisy))))
    of_half = {(x["metric"], x["draws"]): x for x in lines if x["arm"] == "half"}
    assert float(of_half["natural_accuracy", "1"]["mean"]) == 0.9
    assert float(of_half["natural_accuracy", "10"]["mean"]) == 0.92
    precision = "membership/shadow_mlp/precision_at_threshold/0.5"
    assert float(of_half[precision, "1"]["mean"]) == 0.55
    assert float(of_half[precision, "10"]["mean"]) == 0.58
    assert ("train_time_s", "10") not in of_half
    assert {x["draws"] for x in lines if x["arm"] == "dp_sgd"} == {"1"}


def test_a_title_says_whose_models_an_attack_learned_from(noisy):
    assert with_shadows(noisy, "shadow_mlp") == "shadow_mlp (shadows: erm)"
    assert "shadow_mlp (shadows: erm): AUC" in cells(markdown(noisy))[0]
    assert "lira_online: AUC" in cells(markdown(noisy))[0]
    for name, arm in noisy["arms"].items():
        arm["membership"]["shadow_mlp"]["shadow_arm"] = name
    assert with_shadows(noisy, "shadow_mlp") == "shadow_mlp (shadows: own arm)"
    told = "Its shadows are other models of the arm that it judges."
    assert shadows_told(noisy, "shadow_mlp") == told


def test_decisions_have_precision_and_recall_at_each_threshold(noisy, results):
    table = decisions_markdown(noisy)
    assert table is not None
    assert cells(table)[0][2:] == [
        f"p ≥ {at}: {quantity} (%)" for at in (0.5, 0.8) for quantity in ("precision", "recall")
    ]
    precision = column(table, "p ≥ 0.5: precision (%)")
    assert precision["half · 1 draw"] == "55.0 [53.0, 57.0]"
    assert precision["half · mean of 10 draws"] == "58.0 [56.0, 60.0]"
    assert column(table, "p ≥ 0.8: precision (%)")["erm"] == "–"
    assert column(table, "p ≥ 0.8: recall (%)")["erm"] == "0.0 [0.0, 0.0]"
    assert "A guess has a precision of 50 %" in table


def test_an_arm_that_an_attack_did_not_judge_has_dashes(noisy):
    del noisy["arms"]["erm"]["membership"]["shadow_mlp"]
    assert column(decisions_markdown(noisy) or "", "p ≥ 0.5: recall (%)")["erm"] == "–"
    assert column(markdown(noisy), "shadow_mlp (shadows: erm): AUC")["erm"] == "–"
    table = lower_bounds(noisy)
    assert table is not None
    assert "erm" not in dict(table.rows)


def test_arms_that_give_one_reason_share_its_number(noisy):
    noisy["arms"]["one"]["guarantee"] = noisy["arms"]["half"]["guarantee"] | {"epsilon": 291641.8}
    table = guarantees(noisy)
    assert table is not None
    assert table.head == ["arm", "epsilon", "delta", "status", "of", "why"]
    assert table.rows == [
        ["erm", "–", "–", "none claimed", "–", "–"],
        ["half", "4.560e+09", "0.00001", "claimed", "the weights", "1"],
        ["one", "291,600", "0.00001", "claimed", "the weights", "1"],
        ["dp_sgd", "3.210", "0.00001", "proved", "the weights", "2"],
    ]
    assert table.reasons == ["taking G = 1 and R = 2", "RDP of DP-SGD"]
    text = guarantees_markdown(noisy) or ""
    assert "\n1. taking G = 1 and R = 2\n2. RDP of DP-SGD\n" in text


def test_what_attacks_show_at_the_least_is_a_table_of_its_own(noisy):
    table = lower_bounds(noisy)
    assert table is not None
    assert table.attacks == ["shadow_mlp (shadows: erm)"]
    assert {label: [str(cell) for cell in cells] for label, cells in table.rows} == {
        "erm": ["0.900 [0.850, 0.950]", "4.50"],
        "half · 1 draw": ["0.100 [0.0500, 0.150]", "4.50"],
        "half · mean of 10 draws": ["0.250 [0.200, 0.300]", "4.50"],
        "one · 1 draw": ["0.100 [0.0500, 0.150]", "4.50"],
        "one · mean of 10 draws": ["0.250 [0.200, 0.300]", "4.50"],
        "dp_sgd": ["0 [0, 0.0500]", "4.50"],
    }
    assert "At delta 0.00001" in lower_bounds_note(noisy)
    assert "no independent trials" in lower_bounds_note(noisy)
    head = "shadow_mlp (shadows: erm): epsilon at least"
    _, bounds = (guarantees_markdown(noisy) or "").split("## ")
    assert column(bounds, head)["half · 1 draw"] == r"0.100 \[0.0500, 0.150\]"


def test_guarantees_as_csv_are_in_full_precision(noisy):
    lines = list(csv.DictReader(io.StringIO(guarantees_csv(noisy))))
    half = [x for x in lines if x["arm"] == "half"]
    assert [(x["draws"], float(x["lower_bound_mean"])) for x in half] == [("1", 0.1), ("10", 0.25)]
    assert {(float(x["epsilon"]), float(x["delta"]), x["status"]) for x in half} == {
        (4.56e9, 1e-5, "claimed")
    }
    assert [x["status"] for x in lines if x["arm"] == "erm"] == ["none claimed"]


def test_a_guarantee_needs_no_attack_to_be_shown(noisy):
    for arm in noisy["arms"].values():
        for read in filter(None, (arm, arm["averaged"])):
            del read["membership"]["shadow_mlp"]
    table = guarantees(noisy)
    assert table is not None
    assert lower_bounds(noisy) is None
    assert "at the least" not in (guarantees_markdown(noisy) or "at the least")
    lines = list(csv.DictReader(io.StringIO(guarantees_csv(noisy))))
    assert [(x["arm"], x["attack"]) for x in lines] == [(name, "") for name in noisy["arms"]]


def test_without_claims_and_probabilities_there_are_no_such_tables(results):
    assert guarantees(results) is None
    assert lower_bounds(results) is None
    assert guarantees_markdown(results) is None
    assert decisions_markdown(results) is None


def test_an_unbounded_epsilon_is_named(noisy):
    noisy["arms"]["half"]["guarantee"]["epsilon"] = float("inf")
    table = guarantees(noisy)
    assert table is not None
    assert table.rows[1][1] == "unbounded"
