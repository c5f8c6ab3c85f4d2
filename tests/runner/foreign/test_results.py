"""results.json of given answers, beside an experiment's."""

from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from runner.experiment.judging import Membership
from runner.foreign.schema import Audit
from runner.foreign.stage import audit_given
from runner.plan.work import Work
from tests.made.gathered import gathered
from tests.made.given import member_of, write

NOT_KNOWN = {"worst_case", "sanity", "train_time_s"}  # of models that somebody else trained


@pytest.fixture
def given(tmp_path: Path) -> dict[str, Any]:
    """Two arms of made-up answers, audited."""
    for arm in ("a", "b"):
        write(tmp_path / "answers" / arm, member_of())
    (tmp_path / "answers" / "member.npy").rename(tmp_path / "member.npy")
    places = str(tmp_path / "answers"), str(tmp_path / "member.npy")
    asked = Audit(membership=Membership(false_positive_rates=(0.1,)))
    storage, quiet = tmp_path / "given", Console(quiet=True)
    return audit_given(*places, asked, storage, in_ray=False, console=quiet)[0]


def test_given_answers_have_every_key_of_an_experiment_in_its_order(
    given: dict[str, Any], work: Work
):
    ours = gathered(work)
    assert list(given) == list(ours)
    for key in ("data", "evaluation", "report", "attacks", "averages", "null_control"):
        assert list(given[key]) == list(ours[key]), key
    arm, own = given["arms"]["a"], ours["arms"]["erm"]
    assert list(arm) == [key for key in own if key not in NOT_KNOWN]
    assert own.keys() >= NOT_KNOWN
    assert list(given["comparisons"][0]) == list(ours["comparisons"][0])


def test_what_nobody_can_know_of_given_answers_is_null_or_says_so(given: dict[str, Any]):
    assert [given[key] for key in ("selection", "memorization", "epsilon")] == [None] * 3
    assert given["design"] == {"name": "given", "num_models": 8}
    assert given["arms"]["a"]["robust_accuracy"] == given["attacks"]["robustness"] == {}
    assert given["runs"] == {"trained": 0, "reused": 16}
