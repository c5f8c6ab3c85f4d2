"""`runner audit --from` from end to end, held to a slow float64 audit."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from runner.__main__ import app
from tests.made import trees as made
from tests.made.trees import M, Truth

NAMED = "membership.attacks={online: {name: lira, variance: per_example}, loss: threshold}"


def audit(truth: Truth, *options: str) -> tuple[int, str]:
    """The exit code and what is printed, without line breaks."""
    storage = truth.root.parent / "storage"
    given = ["--from", str(truth.root), "--storage", str(storage), "--no-ray"]
    given += ["--set", "membership.num_resamples=2", *options]
    result = CliRunner().invoke(app, ["audit", *given])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, " ".join(result.output.split())


def slow_auc(scores: np.ndarray, inside: np.ndarray) -> float:
    """The share of pairs that are in order, every pair compared."""
    above = scores[inside][:, None] - scores[~inside]
    return float(((above > 0) + (above == 0) / 2).mean())


def slow_lira(truth: Truth, target: int) -> np.ndarray:
    """The ratio of two normal densities of an example's shadows, averaged over views."""
    others = [m for m in range(M) if m != target]
    scores = np.zeros(truth.member.shape[1])
    for n in range(len(scores)):
        for v in range(truth.odds.shape[2]):
            found = []
            for kind in (1, 0):
                of = [truth.odds[m, n, v] for m in others if truth.member[m, n] == kind]
                mean = sum(of) / len(of)
                variance = max(sum((x - mean) ** 2 for x in of) / len(of), 1e-12)
                own = truth.odds[target, n, v]
                found.append(-np.log(variance) / 2 - (own - mean) ** 2 / variance / 2)
            scores[n] += (found[0] - found[1]) / truth.odds.shape[2]
    return scores


def test_attacks_asked_by_name_are_those_of_a_slow_audit_with_all_shadows(tmp_path: Path):
    truth = made.folders(tmp_path / "tree")
    truth = truth._replace(odds=truth.odds.astype(np.float32).astype(np.float64))  # as stored
    code, out = audit(truth, "--set", NAMED)
    assert code == 0, out
    assert "verified: models: 100.0% of the stored scores are those recomputed" in out
    results = json.loads((tmp_path / "storage/audits/given/results.json").read_text())
    found = {k: of["auc"]["mean"] for k, of in results["arms"]["models"]["membership"].items()}
    inside, losses = truth.member == 1, np.log1p(np.exp(-truth.odds)).mean(axis=2)
    lira = [slow_auc(slow_lira(truth, m), inside[m]) for m in range(M)]
    loss = [slow_auc(-losses[m], inside[m]) for m in range(M)]
    assert found["online"] == pytest.approx(np.mean(lira), abs=1e-9)
    assert found["loss"] == pytest.approx(np.mean(loss), abs=1e-9)
    assert "labels: y_train.npy, 5 classes" in results["description"]
    assert "all shadows are compared, as other tools do" in " ".join(results["warnings"])
    code, out = audit(
        truth, "--set", "membership.attacks={loss: threshold}", "--set", "shadows=even"
    )
    assert code == 0, out
    assert "drawn by seed 0" in out


def test_a_dry_run_says_what_was_understood_and_writes_nothing(tmp_path: Path):
    truth = made.lists(tmp_path / "tree")
    code, out = audit(truth, "--dry-run")
    assert code == 0
    assert "members: sampleinfo/samplelist.txt, a list each, of 7 models: 0 to 7" in out
    assert "left out, without answers in every arm: 5" in out
    assert "labels: none" in out
    assert "10 views; 4 is taken for the plain image" in out
    assert not (tmp_path / "storage").exists()


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ([], "neither --answers nor --from given"),
        (["--from", "t", "--answers", "a"], "--answers and --from are both given"),
        (["--answers", "a"], "no --member is given"),
        (["--answers", "a", "--member", "m", "--dry-run"], "are of --from"),
        (["--from", "nowhere"], "there is no such folder"),
        (["--from", "s3://bucket/tree"], "it is a URI; give the local folder"),
    ],
)
def test_options_that_do_not_go_together_are_refused(given: list[str], reason: str):
    result = CliRunner().invoke(app, ["audit", *given])
    assert result.exit_code == 2
    assert reason in " ".join(result.output.split())
