import csv
import io
from typing import Any

import pytest

from runner.report.blocks.epsilon import epsilon_csv, epsilon_in_short, epsilon_markdown


@pytest.fixture
def audited(results: dict[str, Any]) -> dict[str, Any]:
    """Two arms, the second by one draw and by the mean of ten."""

    def row(draws: int, largest: float) -> dict[str, Any]:
        bounds = {"median": 0.5, "largest": largest, "by_model": [0.25, 0.5, 2.0]}
        gaussian = {"median": 0.75, "largest": largest + 1, "by_model": [0.5, 0.75, 3.0]}
        return {"draws": draws, "attack": "loss", **bounds, "gaussian": gaussian}

    stated = {"epsilon": 8.125, "delta": 1e-5, "status": "proved", "of": "the weights", "why": ""}
    erm = {"stated": None, "most": 4.0, "one_run": [row(1, 3.75)], "over_models": None}
    private = {"stated": stated, "most": 3.5, "one_run": [row(1, 0.125), row(10, 0.25)]}
    private |= {"over_models": {"bound": 1.5, "most": 2.5, "num_models": 3}}
    arms = {"erm": erm, "pgd_at": private}
    for arm in arms.values():
        arm |= {"lower_bound": arm["one_run"][0]["largest"], "alarm": None}
        arm["own"] = None
        arm["gaussian"] = {"most": 8.0, "lower_bound": arm["lower_bound"] + 0.5, "mu": 1.25}
    canaries = {"kind": "noise", "num": 1000, "copies": 1}
    return results | {
        "design": {"name": "canaries", "num_models": 3, "canaries": canaries},
        "epsilon": {"delta": 1e-5, "confidence": 0.95, "guesses": [100, 500], "arms": arms},
    }


def cells(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_lower_bounds_stand_beside_what_is_stated(audited: dict[str, Any]):
    head, _, erm, once, mean = cells(epsilon_markdown(audited))
    assert list(zip(head, once, strict=True)) == [
        ("arm", "pgd_at · 1 draw"),
        ("attack", "loss"),
        ("one run: median", "0.500"),
        ("largest", "0.125"),
        ("the most it could show", "3.50"),
        ("if Gaussian: median", "0.750"),
        ("largest", "1.12"),
        ("the most it could show", "8.00"),
        ("over models", "1.50"),
        ("(the most it could show)", "2.50"),
        ("stated upper bound", "8.125"),
        ("status", "proved"),
    ]
    assert mean[0] == "pgd_at · mean of 10 draws"
    assert erm[:5] == ["erm", "loss", "0.500", "3.75", "4.00"]
    assert erm[5:] == ["0.750", "4.75", "8.00", "–", "–", "–", "none stated"]


def test_a_note_says_that_the_second_test_is_of_another_statement(audited: dict[str, Any]):
    text = epsilon_markdown(audited)
    assert "If Gaussian: another statement, from the same guesses." in text
    assert "it bounds nothing, and it raises no alarm" in text
    assert "if the trade-off is Gaussian: erm 4.25 (mu 1.25), pgd" in text


def test_the_note_says_what_was_planted_how_often_it_was_guessed_and_how_sure_it_is(audited):
    text = epsilon_markdown(audited)
    assert "At delta 0.00001. 1,000 canaries, images of uniform noise, are each in or out" in text
    assert "guesses so many coins: 100, 500. One run" in text
    assert "95 %" in text
    assert "copies" not in text
    audited["design"]["canaries"]["copies"] = 8
    assert "by a coin, 8 copies at once, and bounds are of one of them" in epsilon_markdown(audited)


def test_columns_over_models_are_left_out_where_too_few_models_were_trained(audited):
    audited["epsilon"]["arms"]["pgd_at"]["over_models"] = None
    text = epsilon_markdown(audited)
    assert "over models" not in text.lower().partition("one run: a bound")[0]
    assert "Over models" not in text
    assert {len(row) for row in cells(text)} == {10}


def test_an_alarm_stands_above_the_table(audited):
    assert "Alarm" not in epsilon_markdown(audited)
    audited["epsilon"]["arms"]["pgd_at"]["alarm"] = "epsilon is at least 9 and at most 8"
    text = epsilon_markdown(audited)
    assert text.index("**Alarm**: pgd_at: epsilon is at least 9") < text.index("| arm")


def test_a_p_value_of_what_an_arm_proves_is_told_and_a_small_one_is_an_alarm(audited):
    assert "Against the whole trade-off" not in epsilon_markdown(audited)
    audited["epsilon"]["arms"]["pgd_at"]["own"] = {"p_value": 0.25, "alarm": None}
    text = epsilon_markdown(audited)
    assert "of whatever form, the guesses have a p-value of: pgd" in text
    assert "0.05 or less is an alarm" in text
    audited["epsilon"]["arms"]["pgd_at"]["own"] = {"p_value": 0.001, "alarm": "not the one"}
    text = epsilon_markdown(audited)
    assert text.index("**Alarm**: pgd_at: not the one") < text.index("| arm")


def test_the_csv_has_every_bound_in_full(audited):
    rows = list(csv.DictReader(io.StringIO(epsilon_csv(audited))))
    assert len(rows) == 3 * 2 * 5 + 2 + 2
    by_model = [r["epsilon"] for r in rows if (r["arm"], r["bound"]) == ("erm", "one_run")]
    assert by_model == ["0.25", "0.5", "2.0"]
    by_model = [r for r in rows if (r["arm"], r["bound"]) == ("erm", "gaussian_one_run")]
    assert [r["epsilon"] for r in by_model] == ["0.5", "0.75", "3.0"]
    assert {(r["status"], r["most"]) for r in by_model} == {("certified if Gaussian", "8.0")}
    better = [r["epsilon"] for r in rows if r["bound"] == "gaussian_better"]
    assert better == ["4.25", "0.625"]
    (stated,) = [r for r in rows if r["bound"] == "stated"]
    assert (stated["epsilon"], stated["status"]) == ("8.125", "proved")
    (over,) = [r for r in rows if r["bound"] == "over_models"]
    assert (over["epsilon"], over["most"]) == ("1.5", "2.5")


@pytest.mark.parametrize("missing", [{}, {"epsilon": None}])
def test_without_canaries_nothing_is_written(results: dict[str, Any], missing: dict[str, Any]):
    assert epsilon_markdown(results | missing) == ""
    assert epsilon_csv(results | missing) == ""


def test_a_line_tells_what_is_certified_and_what_is_stated(audited, results: dict[str, Any]):
    assert epsilon_in_short(audited) == [
        "epsilon of erm: at least 3.75 (if its trade-off is Gaussian 4.25), nothing stated",
        "epsilon of pgd_at: at least 0.125 (if its trade-off is Gaussian 0.625), "
        "at most 8.125 (proved)",
    ]
    assert epsilon_in_short(results) == []
