"""Seconds of steps, as they were measured."""

import pytest

from runner.forecast._estimate import unknown_steps
from runner.forecast._step_times import TRAIN, step_times_of, steps_left
from runner.forecast.forecast import forecast
from runner.pipeline import task_of
from runner.plan.work import Work
from runner.storage import store
from runner.train.train import train
from runner.train.workplace import Workplace
from tests.conftest import place_of
from tests.made.timings import DEVICE, cluster, done


def test_a_trained_run_that_was_not_asked_takes_the_time_of_its_questions(known: Work):
    run = known.plan.arms["erm"][5]
    store.finish(known.store.run(run.id), [], {"train_time_s": 10.0, "device": DEVICE})
    assert TRAIN not in {step.what for step in steps_left(known, run)}
    assert len(steps_left(known, run)) == len(known.asked(run))


def test_times_of_one_device_are_not_mixed_with_those_of_another(work: Work):
    for arm in work.plan.arms:
        done(work, arm, 0, 10.0, "slow one")
        done(work, arm, 1, 10.0, "slow one")
        done(work, arm, 2, 1.0, "fast one")
    times = step_times_of(work, None)
    assert (times.device, times.others) == ("slow one", ["fast one"])
    assert step_times_of(work, None, "fast").trained(work.plan.runs[0]) == 1.0
    assert step_times_of(work, None, "other").of == {}
    assert "left out: times measured on fast one" in forecast(work, cluster())


def test_real_steps_write_what_plan_reads(work: Work, place: Workplace):
    for arm in work.plan.arms:
        run = work.plan.arms[arm][0]
        for step in task_of(work, run).steps:
            step(run, place)
    times = step_times_of(work, None)
    assert "thread" in times.device
    assert not unknown_steps(work, times)
    assert all(0 < s.low <= s.median <= s.high < 60 for s in times.of.values())
    assert "idle at the end" in forecast(work, cluster())


def test_a_run_that_went_on_from_a_checkpoint_counts_its_own_seconds(work: Work):
    run, calls = work.plan.runs[0], []

    def stop(word: str, part: float) -> None:
        calls.append(word)
        if len(calls) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(run, place_of(work)._replace(tell=stop))
    train(run, place_of(work))
    facts = store.facts(work.store.run(run.id))
    assert facts is not None
    assert 0 <= facts["other_time_s"] < 30
    assert 0 < facts["epoch_time_s"] < facts["train_time_s"]
