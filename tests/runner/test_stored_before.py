"""A storage that the build before the packages wrote is read by this one; nothing is trained."""

import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from runner import pipeline
from runner.experiment.experiment import Experiment
from runner.forecast.forecast import forecast
from runner.plan import plan as planned
from runner.plan.work import Work, prepare
from tests.made.stored_before import unpacked

SAID_SINCE = {"alone", "beside", "code", "places", "strongest", "overlap"}
SAID_SINCE |= {"best", "came_out", "provenance"}
MADE_ANEW = {"git_commit", "versions"}  # what a report says of the code that wrote it
EXACT_SINCE = {  # sums of float32 then; statistics/test_resampling.py has the exact ones
    "arms.erm.membership.lira_online.auc.low": 0.269159313598392,
    "arms.erm.membership.lira_online.auc.high": 0.5334001650107223,
}
WARNED_SINCE = "of 6 models of an arm some are trained on no example of a class"
CHECKED_SINCE = "members are not told without a model"


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """Six models of commit db45458 with their answers and scores, judged and reported there."""
    return unpacked(tmp_path)


@pytest.fixture
def weights_as_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """The version of the weights that db45458 wrote, under which its Runs are looked for."""
    monkeypatch.setattr(planned, "WEIGHTS_VERSION", 1)


@pytest.fixture
def work(stored: Path) -> Work:
    written = json.loads((stored / "experiments" / "stored_before" / "experiment.json").read_text())
    return prepare(Experiment.model_validate(written["experiment"]), stored)


def test_models_of_another_version_of_the_weights_are_not_taken_for_ours(work: Work, stored: Path):
    written = json.loads((stored / "experiments" / "stored_before" / "experiment.json").read_text())
    assert not {run.id for run in work.plan.runs} & set(written["runs"]["erm"])
    assert work.pending == list(work.plan.runs)
    assert "made anew: WEIGHTS_VERSION 1 -> 2\n" in forecast(work)


@pytest.mark.usefixtures("weights_as_then")
def test_every_id_is_the_same_so_nothing_is_to_do(work: Work, stored: Path):
    folder = stored / "experiments" / "stored_before"
    written = json.loads((folder / "experiment.json").read_text())
    assert [run.id for run in work.plan.runs] == written["runs"]["erm"]
    asked = [f"{at.parent.name}/{at.name}" for at in work.asked(work.plan.runs[0])]
    assert asked == written["asked"][work.plan.runs[0].id]
    assert work.scores.is_dir()
    assert work.pending == []


@pytest.mark.usefixtures("weights_as_then")
def test_its_figures_come_out_as_they_were_and_nothing_is_trained(work: Work):
    before = json.loads((work.folder / "results.json").read_bytes())
    pipeline.score(work, in_ray=False)  # the scores are there; judging them is what is repeated
    results = json.loads(json.dumps(pipeline.run(work, Console(quiet=True))))
    assert results["runs"] == {"trained": 0, "reused": 6}
    assert [key for key in results if key not in SAID_SINCE] == list(before)
    (said,) = [text for text in results["warnings"] if text.startswith(WARNED_SINCE)]
    results["warnings"].remove(said)
    (checked,) = [check for check in results["guards"] if check["name"] == CHECKED_SINCE]
    results["guards"].remove(checked)
    for key in set(before) - MADE_ANEW:
        assert_alike(results[key], before[key], key)


def assert_alike(new: Any, old: Any, at: str) -> None:
    """The same keys in the same order, the same words, and numbers to the last digits."""
    if isinstance(old, dict):
        assert [key for key in new if key not in SAID_SINCE] == list(old), at
        for key in old:
            assert_alike(new[key], old[key], f"{at}.{key}")
    elif isinstance(old, list):
        assert len(new) == len(old), at
        for i, (one, other) in enumerate(zip(new, old, strict=True)):
            assert_alike(one, other, f"{at}[{i}]")
    elif isinstance(old, float):
        if at in EXACT_SINCE:
            assert old == pytest.approx(EXACT_SINCE[at], rel=1e-8), at
            old = EXACT_SINCE[at]
        assert new == pytest.approx(old, rel=1e-12, nan_ok=True), at
    else:
        assert new == old, at
