"""A failed check forbids sentences, and the sentences say so."""

import re
from pathlib import Path
from typing import Any

import pytest

from runner.report.verdicts import SANE
from runner.results import checks
from runner.results.ceilings import NAME
from runner.results.verdict.forbidden import BY_CHECK, forbidden
from tests.made.verdict import results_of, sentences

LEAKAGE = [name for name, (of, _) in BY_CHECK.items() if of == "leakage"]
MARKED = [name for name, (of, _) in BY_CHECK.items() if of == "understated"]


def failing(name: str, **aucs: float) -> dict[str, Any]:
    guards = [{"name": "another", "verdict": "pass", "says": "so"}]
    guards.append({"name": name, "verdict": "fail", "says": "found"})
    return results_of(aucs or {"erm": 0.7, "a": 0.6}, guards=guards)


@pytest.mark.parametrize("name", [*LEAKAGE, "a check that nobody knows yet"])
def test_where_a_check_of_membership_fails_no_sentence_says_who_leaks(name: str):
    said = sentences(failing(name), reach=0.001)
    assert set(said) == {"least", "proved", "checks"}
    assert f'the check "{name}" failed' in said["least"]
    assert "nothing may be said about membership" in said["checks"]
    assert "leaks least" not in "".join(said.values())
    assert "1 other check passed" in said["checks"]


def test_a_null_control_of_all_arms_that_fails_forbids_as_the_check_does():
    results = results_of({"erm": 0.7, "a": 0.6})
    results["null_control"]["verdict"] = "fail"
    assert [one.of for one in forbidden(results)] == ["leakage"]


@pytest.mark.parametrize("name", MARKED)
def test_what_is_understated_is_said_and_marked(name: str):
    said = sentences(failing(name), reach=0.001)
    for rule in ("least/tpr", "least/auc"):
        assert "leaks least" in said[rule]
        assert "; understated: " in said[rule]
    assert "; understated: " in sentences(failing(name, erm=0.7))["leaks"]


@pytest.mark.parametrize("check", SANE)
def test_no_gain_is_quoted_of_an_accuracy_whose_attack_failed_a_check(check: str):
    results = results_of({"erm": 0.7, "a": 0.6})
    results["arms"]["a"]["robust_accuracy"]["pgd20"]["mean"] = 0.8
    assert "gains 30.0 points" in sentences(results, reach=0.001)["cost"]
    results["arms"]["a"]["sanity"] = {check: {"verdict": "fail"}}
    said = sentences(results, reach=0.001)
    assert " gains " not in said["cost"]
    most = "has at the most 80.0 % [48.0, 52.0] of accuracy under pgd20 (erm 50.0 % [48.0, 52.0])"
    assert most in said["cost"]
    assert f'The check "{SANE[check]}" failed' in said["checks"]
    results["attacks"]["robustness"]["pgd20"] = "autoattack(eps 0.1)"
    assert "gains 30.0 points" in sentences(results, reach=0.001)["cost"]


def test_what_a_proof_says_is_withheld_where_it_is_refuted():
    results = results_of({"erm": 0.7, "a": 0.6})
    promise = {"epsilon": 2.0, "delta": 1e-5, "status": "proved", "of": "the weights", "why": "x"}
    results["arms"]["a"]["guarantee"] = promise
    said = sentences(results)
    proof = "Of a epsilon 2.000 at delta 0.00001 of the weights is proved; of erm nothing"
    assert said["proved"].startswith(proof)
    results["guards"] = [{"name": "no attack finds more than is proved", "verdict": "fail"}]
    said = sentences(results)
    assert said["proved"].startswith("What is said to be proved of a is not, since a check failed")
    assert "epsilon" not in said["proved"]


def test_every_check_that_is_made_has_its_say():
    source = Path(checks.__file__).read_text()
    made = set(re.findall(r'(?:name = |Check\()"([^"]+)"', source)) | {checks.NO_TWINS, NAME}
    assert len(made) > 6
    assert made == set(BY_CHECK)


def test_undecided_checks_are_named_and_do_not_pass():
    results = results_of({"erm": 0.7, "a": 0.6})
    verdicts = ("pass", "undecided", "unknown")
    results["guards"] = [{"name": f"check {v}", "verdict": v} for v in verdicts]
    assert sentences(results)["checks"] == (
        '1 of 3 checks passed; 1 could not be made; "check undecided" is undecided: chance alone '
        "may be behind it, and more models would tell."
    )
