"""What no attack exceeds, in results.json and on the page, and the check that none does."""

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from defenses._trade_off import trade_off
from runner.experiment.experiment import Experiment
from runner.plan.work import Work, prepare
from runner.report.blocks.guarantees import guarantees, guarantees_csv, guarantees_markdown
from runner.report.blocks.leakage import leakage_csv, leakage_tables
from runner.report.blocks.roc import roc_figure
from runner.report.columns import main_columns
from runner.report.table import latex, markdown, table_csv
from runner.report.text import DASH
from runner.results.ceilings import NAME, ceiling_check, ceiling_figures
from runner.statistics.metrics import roc, tpr_at_fpr
from tests.conftest import TINY
from tests.made.canaries import audited
from tests.made.gathered import gathered
from tests.made.report import small_results
from tests.made.report_tables import column

PRIVATE = {"name": "dp_sgd", "noise_multiplier": 3.0, "accountant": "rdp"}


def private(folder: Path, defense: dict[str, Any] = PRIVATE, **changes: Any) -> Work:
    arms = {**TINY["arms"], "private": {"defense": defense}}
    return prepare(Experiment.model_validate({**TINY, "arms": arms, **changes}), folder)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Of an arm with a proof and one without; a test may read them."""
    return gathered(private(tmp_path_factory.mktemp("private")))


def verdict(results: dict[str, Any]) -> tuple[str, str]:
    (found,) = [check for check in results["guards"] if check["name"] == NAME]
    return found["verdict"], found["says"]


def test_an_arm_with_a_proof_has_a_ceiling_of_its_own_and_of_the_audit(tmp_path: Path):
    work = private(tmp_path)
    found = ceiling_figures(work, "private")
    run = work.plan.arms["private"][0]
    rate = run.training.batch_size / len(run.members)
    steps = round(1 / rate) * run.training.epochs
    one, replaced = trade_off(3.0, rate, steps), trade_off(3.0, rate, steps, "replaced")
    n = work.plan.num_negatives
    assert found is not None
    assert found["by"] == "pld"
    assert found["one_example"]["tpr_at_fpr"]["0.1"] == one.tpr_at(0.1)
    assert found["one_example"]["auc"] == one.auc()
    assert found["one_example"]["mu"] == one.mu()
    assert found["audit"]["neighbours"] == "replaced"
    assert found["audit"]["tpr_at_fpr"]["0.1"] == replaced.observed(0.1, n)
    assert found["audit"]["auc"] == pytest.approx(replaced.auc() + 1 / n)
    assert ceiling_figures(work, "erm") is None


def test_canaries_are_held_to_one_example_with_its_copies(tmp_path: Path):
    arms = {"private": {"defense": PRIVATE}}
    work = prepare(audited(copies=2, changes={"arms": arms}), tmp_path)
    found = ceiling_figures(work, "private")
    assert found is not None
    assert (found["audit"]["neighbours"], found["audit"]["copies"]) == ("added", 2)
    assert found["audit"]["roc"]["tpr"][-1] == 1


def test_the_ceiling_is_that_of_the_model_of_which_it_is_highest(tmp_path: Path):
    """175 members take 5 steps of 32 an epoch and 176 take 6; and non-members differ as well."""
    work = prepare(audited(8, {"arms": {"private": {"defense": PRIVATE}}}), tmp_path)
    member = work.plan.member
    found = ceiling_figures(work, "private")
    assert found is not None
    of_models = []
    for run, row in zip(work.plan.arms["private"], member, strict=True):
        num, size = len(run.members), run.training.batch_size
        curve = trade_off(3.0, size / num, round(num / size) * run.training.epochs)
        num_out = int((row == 0).sum())
        of_models.append((curve.tpr_at(0.1), curve.observed(0.1, num_out), num_out))
    one, held, sizes = map(list, zip(*of_models, strict=True))
    assert len(set(sizes)) > 2
    assert found["one_example"]["tpr_at_fpr"]["0.1"] == max(one)
    assert found["audit"]["tpr_at_fpr"]["0.1"] >= max(held)


def test_no_tpr_of_thresholds_that_are_chosen_by_whom_they_find_has_a_ceiling(tmp_path: Path):
    """Of scores that mean nothing, TPR by `interp` is above FPR in expectation."""
    random, member = np.random.default_rng(0), np.arange(300) < 150
    curves = (roc(random.random(300), member) for _ in range(200))
    assert np.mean([tpr_at_fpr(*curve, 0.1, "interp") for curve in curves]) > 0.13
    membership = {**TINY.get("membership", {}), "tpr_rule": "interp"}
    results = gathered(private(tmp_path, membership=membership))
    assert results["arms"]["private"]["ceiling"]["audit"]["tpr_at_fpr"] == {}
    assert verdict(results)[0] == "pass"
    told = column(markdown(results), "any attack: AUC at most")
    assert told["private"] != DASH
    table = guarantees(results)
    assert table is not None
    assert {row[8] for row in table.rows} == {DASH}
    assert "audit_auc_at_most" in guarantees_csv(results)
    assert leakage_tables(results)
    assert "FPR at most (%)" not in markdown(results)


def test_a_best_epoch_that_is_chosen_on_non_members_has_no_ceiling(tmp_path: Path):
    selection = {"on": "non_members", "num_examples": 20}
    work = private(tmp_path, selection=selection)
    assert work.chosen_on_non_members("private") == (ceiling_figures(work, "private") is None)


def test_scores_that_mean_nothing_pass_and_scores_that_are_membership_fail(tmp_path: Path):
    work = private(tmp_path)
    blind = gathered(work)
    assert verdict(blind) == (
        "pass",
        "no interval of an attack's TPR or AUC lies above it (private)",
    )
    told = gathered(private(tmp_path / "told"), member_scores={1: (work.plan.member == 1) * 1.0})
    failed, says = verdict(told)
    assert failed == "fail"
    assert "private: AUC of lira_online is at least 1 by its interval" in says
    assert "erm: " not in says
    assert any(NAME in warning for warning in told["warnings"])


def test_no_arm_with_a_proof_is_no_check():
    assert ceiling_check({"erm": {"guarantee": None}}) == []


def test_an_interval_around_the_ceiling_is_no_alarm():
    def arm(low: float) -> dict[str, Any]:
        figure = {"mean": 0.7, "low": low, "high": 0.8}
        found = {"auc": figure, "tpr_at_fpr": {"0.1": {**figure, "low": np.nan}}}
        held = {"auc": 0.65, "tpr_at_fpr": {"0.1": 0.2}}
        return {"membership": {"lira": found}, "averaged": None, "ceiling": {"audit": held}}

    assert [check.verdict for check in ceiling_check({"dp": arm(0.64)})] == ["pass"]
    assert [check.verdict for check in ceiling_check({"dp": arm(0.66)})] == ["fail"]
    chosen = arm(0.64) | {"strongest": arm(0.66)["membership"]["lira"]}
    (check,) = ceiling_check({"dp": chosen})
    assert check.verdict == "fail"
    assert "AUC of the strongest attack is at least 0.66" in check.says


def test_the_page_has_the_ceiling_beside_the_claim_and_in_the_figure(results):
    table = guarantees(results)
    assert table is not None
    assert table.head[5:] == ["mu", "AUC at most", "TPR at most", "in this audit", "why"]
    of = {row[0]: row for row in table.rows}
    assert of["erm"][5:9] == [DASH] * 4
    printed = float(of["private"][7].split(" %")[0]) / 100
    exact = results["arms"]["private"]["ceiling"]["one_example"]["tpr_at_fpr"]["0.001"]
    assert exact <= printed <= 1.01 * exact
    assert "what no membership attack exceeds" in (guarantees_markdown(results) or "")
    leakage = leakage_tables(results)
    assert all(table.head[-1] == "TPR of a target at most (%)" for table in leakage)
    assert {row[-1] == DASH for row in leakage[-1].rows if row[0] == "erm"} == {True}
    held = results["arms"]["private"]["ceiling"]["audit"]["tpr_at_fpr"]["0.1"]
    (shown, *_) = [float(row[-1]) for row in leakage[-1].rows if row[0] == "private"]
    assert held <= shown / 100 <= 1.01 * held
    assert "tpr_at_most" in leakage_csv(results)
    figure = roc_figure(results)
    assert figure is not None
    told = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "ceiling that is proved, in the arm's colour" in told


def test_the_main_table_has_what_is_proved_of_any_attack_behind_what_the_first_finds(results):
    rates = ("0 false positives", "1 % FPR", "10 % FPR")
    heads = ["any attack: AUC at most", *(f"any attack: TPR at {at} at most (%)" for at in rates)]
    of_table = [column.title for column in main_columns(results)]
    at = of_table.index(heads[0])
    assert of_table[at : at + 4] == heads
    assert of_table[at - 1] == "strongest attack: TPR at 10 % FPR (%)"
    held = results["arms"]["private"]["ceiling"]["audit"]
    exact = held["auc"], *(100 * held["tpr_at_fpr"][rate] for rate in ("0.001", "0.01", "0.1"))
    for head, most in zip(heads, exact, strict=True):
        told = column(markdown(results), head)
        assert told["erm"] == DASH
        assert most <= float(told["private"]) <= 1.01 * most
    assert "neighbours with another example in a member's place (replaced)." in markdown(results)
    lines = list(csv.DictReader(io.StringIO(table_csv(results))))
    proved = {line["metric"]: line for line in lines if line["metric"].startswith("ceiling/")}
    assert {line["arm"] for line in lines if line["metric"] in proved} == {"private"}
    assert float(proved["ceiling/audit/tpr_at_fpr/0.1"]["mean"]) == held["tpr_at_fpr"]["0.1"]
    assert proved["ceiling/audit/auc"]["low"] == proved["ceiling/audit/auc"]["num_models"] == ""


def test_no_table_has_a_word_of_it_where_nothing_is_proved():
    results = small_results()
    tables = (markdown(results), latex(results), table_csv(results), guarantees_csv(results))
    assert not any("at most" in text or "at_most" in text or "ceiling" in text for text in tables)


def test_the_csv_of_guarantees_has_both_ceilings_in_full(results):
    of = {line["arm"]: line for line in csv.DictReader(io.StringIO(guarantees_csv(results)))}
    most = results["arms"]["private"]["ceiling"]
    assert float(of["private"]["mu"]) == most["one_example"]["mu"]
    assert (
        float(of["private"]["tpr_at_most_at_fpr_0.1"]) == most["one_example"]["tpr_at_fpr"]["0.1"]
    )
    assert float(of["private"]["audit_auc_at_most"]) == most["audit"]["auc"]
    assert of["private"]["audit_neighbours"] == "replaced"
    assert of["erm"]["mu"] == of["erm"]["audit_tpr_at_most_at_fpr_0.001"] == ""
