"""What Runs are expected to cost: counted by hand, and as measured where they were measured."""

from pathlib import Path
from typing import Any

import pytest

from runner.experiment.experiment import Experiment
from runner.forecast._step_times import step_times_of, steps_left
from runner.forecast.costs import costs, operations
from runner.models import image_shape
from runner.plan.work import Work, prepare
from tests.conftest import TINY
from tests.made.timings import done


def two_layers(folder: Path, **arms: Any) -> Work:
    """Arms of a network with one hidden layer of five units."""
    given = {**TINY, "model": {"name": "mlp", "hidden": [5]}, "arms": arms}
    return prepare(Experiment.model_validate(given), folder)


def test_operations_are_those_counted_by_hand(tmp_path: Path):
    attack = {"eps": 0.1, "step_size": 0.05, "num_steps": 3}
    work = two_layers(
        tmp_path,
        erm={"defense": {"name": "erm"}},
        pgd_at={"defense": {"name": "pgd_at", "attack": attack}},
    )
    shape = image_shape(work.dataset)
    first = 2 * shape.channels * shape.height * shape.width * 5
    second = 2 * 5 * shape.num_classes
    forward = first + second
    # Gradients: of both layers' weights, and of the second's inputs.
    step = forward + first + 2 * second
    assert operations(work.plan.arms["erm"][0], shape) == (forward, step)
    iterate = forward + first + second  # the gradient of the image alone
    answer, trained = operations(work.plan.arms["pgd_at"][0], shape)
    assert (answer, trained) == (forward, 3 * iterate + step)


def test_what_was_not_measured_weighs_as_its_operations(work: Work):
    found = dict(zip([r.id for r in work.plan.runs], costs(work, work.plan.runs), strict=True))
    shape = image_shape(work.dataset)
    for runs in work.plan.arms.values():
        answer, step = operations(runs[0], shape)
        asked = 200 * sum(len(q.answers.names) * q.answers.draws for q in work.questions(runs[0]))
        assert found[runs[0].id] == answer * asked + step * 2 * 100
    erm, pgd_at = (found[work.plan.arms[arm][0].id] for arm in ("erm", "pgd_at"))
    assert pgd_at > 2 * erm


def test_a_run_that_is_trained_weighs_only_its_answers(work: Work):
    run = work.plan.arms["pgd_at"][0]
    (before,) = costs(work, [run])
    done(work, "pgd_at", 0, 10.0)
    for folder in work.asked(run):
        (folder / "DONE").unlink(missing_ok=True)
    (after,) = costs(work, [run])
    assert 0 < after == before - operations(run, image_shape(work.dataset))[1] * 2 * 100


def test_what_was_measured_weighs_its_seconds(work: Work):
    for arm, seconds in (("erm", 10.0), ("pgd_at", 40.0)):
        done(work, arm, 0, seconds)
    times, pending = step_times_of(work, None), work.pending
    expected = [sum(times.of[step].median for step in steps_left(work, run)) for run in pending]
    assert costs(work, pending) == expected
    assert max(expected) >= 4 * min(expected) == pytest.approx(4 * min(expected))
