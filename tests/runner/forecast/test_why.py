"""`plan` names what differs from what is stored, in one line an arm."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from runner.experiment.experiment import Experiment
from runner.forecast.why import Before, in_words
from runner.plan.work import Work, prepare
from runner.storage import store
from tests.conftest import TINY


def test_differences_are_told_with_both_values_and_digests_without():
    before = {"weights_version": 1, "training": {"lr": 0.1}, "member": 64 * "a", "seed": 1}
    now = {"weights_version": 2, "training": {"lr": 0.05}, "member": 64 * "b", "seed": 1}
    told = "WEIGHTS_VERSION 1 -> 2; training.lr 0.1 -> 0.05; who is trained on what changed"
    assert in_words(before, now) == told
    assert in_words(now, now) == ""


def test_files_are_named_as_they_are():
    before = {"code": {"defenses/a.py": "1", "helper.py": "1"}}
    now = {"code": {"defenses/a.py": "2", "helper.py": "1"}}
    assert in_words(before, now) == "defenses/a.py changed"
    assert in_words({}, {"code": {"runner/train/fit.py": "1"}}) == (
        "runner/train/fit.py edited or added"
    )
    assert in_words(now, {}) == (
        "defenses/a.py as shipped again, or not in use; helper.py as shipped again, or not in use"
    )


def test_many_differences_are_counted():
    told = in_words({f"k{n}": 0 for n in range(7)}, {f"k{n}": 1 for n in range(7)})
    assert told.endswith("k3 0 -> 1; and 3 more")


def stored(work: Work, name: str, **changes: Any) -> None:
    """The first models of a work, stored as if something of them had been otherwise."""
    for run in work.plan.arms[name]:
        recipe = run.recipe() | changes
        folder = work.store.run(f"{run.defense.name}-m{run.number:03d}-{'0' * 8}")
        store.write_json(folder / "run.json", recipe)
        store.finish(folder, ["run.json"], {})


def tiny(at: Path, **changes: Any) -> Work:
    return prepare(Experiment.model_validate({**TINY, **changes}), at)


def test_the_nearest_stored_run_of_an_arm_says_why(tmp_path: Path):
    work = tiny(tmp_path)
    assert Before(work).of_arms() == {}
    stored(work, "erm", code={"runner/train/fit.py": "1"})
    assert Before(work).of_arms() == {"erm": "runner/train/fit.py as shipped again, or not in use"}


def test_a_stored_run_that_is_quite_another_says_nothing(tmp_path: Path):
    work = tiny(tmp_path)
    stored(work, "erm", seed=0, workers=2, data="0", weights_version=0)
    assert Before(work).of_arms() == {}


def test_the_last_command_of_the_experiment_says_what_was_asked_otherwise(tmp_path: Path):
    work = tiny(tmp_path)
    told = {"experiment": work.experiment.model_dump(mode="json"), "runs": {}}
    code = {"digest": "", "deciding": [{"stage": "scores", "name": "mia.py", "digest": "1"}]}
    store.write_json(work.folder / store.DESCRIBED, {**told, "code": code})
    again = tiny(tmp_path, answers={"views": ["identity", "flip"]})
    before = Before(again)
    assert before.of_stage("scores", keys=("membership.attacks",)).startswith("mia.py as shipped")
    told_views = 'answers.views ["identity"] -> ["identity", "flip"]'
    assert before.of_stage("answers", keys=("answers",)) == told_views


def test_a_run_of_other_code_has_another_id_and_no_code_has_the_id_of_before(work: Work):
    run = work.plan.arms["erm"][0]
    assert run.code == {}
    assert "code" not in run.recipe()
    assert replace(run, code={"a.py": "1"}).id != run.id
