from pathlib import Path

import pytest

from runner.code.commit import git_commit
from runner.experiment.experiment import Experiment
from runner.plan.work import Work, prepare
from runner.results.checks import null_verdict
from runner.statistics.intervals import Interval
from tests.conftest import TINY
from tests.made.gathered import gathered


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.49, 0.51, "pass"),
        (0.48, 0.52, "pass"),
        (0.47, 0.51, "undecided"),
        (0.0, 1.0, "undecided"),
        (0.53, 0.55, "fail"),
        (0.40, 0.47, "fail"),
    ],
)
def test_the_null_control_passes_when_its_interval_is_close_to_a_half(low, high, verdict):
    assert null_verdict(Interval(0.5, low, high, 8)) == verdict


@pytest.mark.parametrize(
    ("models_told", "verdict", "num_warnings"),
    [(0, "pass", 0), (2, "undecided", 0), (6, "fail", 1)],
)
def test_only_a_failed_null_control_is_a_warning(
    work: Work, models_told: int, verdict: str, num_warnings: int
):
    """The AUC is 1 of a model whose scores are the null matrix itself, and 1/2 of all others."""
    null_scores = work.plan.null_member.astype(float)
    null_scores[models_told:] = 0
    results = gathered(work, null_scores)
    for null in (results["null_control"], *(a["null_control"] for a in results["arms"].values())):
        assert null["verdict"] == verdict
        assert null["auc"]["mean"] == pytest.approx(0.5 + models_told / 12)
    warnings = [text for text in results["warnings"] if text.startswith("failed check")]
    assert len(warnings) == num_warnings
    for warning in warnings:
        assert "is 1.000 [1.000, 1.000]; outside 0.50 ± 0.02 altogether: lira_online on" in warning


def test_a_sanity_check_that_fails_is_a_warning(work: Work):
    """Made-up attacks all leave half of the images standing, so a radius of 1 leaves too many."""
    results = gathered(work)
    (told,) = [text for text in results["warnings"] if "not to be trusted" in text]
    failed = [
        name
        for name, arm in results["arms"].items()
        if arm["sanity"]
        and any(
            check["verdict"] == "fail"
            for check in arm["sanity"].values()
            if isinstance(check, dict)
        )
    ]
    assert failed
    assert f"({', '.join(failed)}): a radius of 1 leaves more than chance" in told


def test_results_say_what_was_trained_and_how(tmp_path: Path):
    changed = {
        "seed": 3,
        "data": {**TINY["data"], "augment": {"crop_padding": 1}},
        "training": {"epochs": 2, "batch_size": 32, "schedule": {"warmup_epochs": 0.5}},
        "arms": {"erm": {"defense": "erm"}, "wide": {"defense": "erm", "model": {"width": 8}}},
    }
    work = prepare(Experiment.model_validate({**TINY, **changed}), tmp_path)
    results = gathered(work)
    erm, wide = (results["arms"][name]["recipe"] for name in ("erm", "wide"))
    precision = work.plan.arms["erm"][0].training.precision
    assert precision in ("fp32", "bf16")
    assert erm["training"] == wide["training"]
    assert erm["training"] == (
        "epochs 2, batch_size 32, optimizer sgd, lr 0.1, momentum 0.9, nesterov false, "
        f"weight_decay 0.0005, precision {precision}, "
        "schedule cosine(warmup_epochs 0.5, factor 0.1)"
    )
    assert "width 4" in erm["model"]
    assert "width 8" in wide["model"]
    assert (results["seed"], results["data"]["pool"]) == (3, "train")
    assert results["data"]["augment"] == "crop_padding 1, flip false"
    assert results["git_commit"] == git_commit()
