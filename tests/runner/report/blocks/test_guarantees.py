import csv
import io

from runner.report.blocks.guarantees import (
    guarantees,
    guarantees_csv,
    guarantees_markdown,
    lower_bounds_note,
    shown_bounds,
)
from runner.report.blocks.thresholds import decisions_markdown
from tests.made.report_tables import column


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
    table = shown_bounds(noisy)
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
    assert shown_bounds(noisy) is None
    assert "at the least" not in (guarantees_markdown(noisy) or "at the least")
    lines = list(csv.DictReader(io.StringIO(guarantees_csv(noisy))))
    assert [(x["arm"], x["attack"]) for x in lines] == [(name, "") for name in noisy["arms"]]


def test_without_claims_and_probabilities_there_are_no_such_tables(results):
    assert guarantees(results) is None
    assert shown_bounds(results) is None
    assert guarantees_markdown(results) is None
    assert decisions_markdown(results) is None


def test_an_unbounded_epsilon_is_named(noisy):
    noisy["arms"]["half"]["guarantee"]["epsilon"] = float("inf")
    table = guarantees(noisy)
    assert table is not None
    assert table.rows[1][1] == "unbounded"
