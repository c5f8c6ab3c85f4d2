"""Hours on a named cluster, against closed forms."""

import pytest

from runner.experiment.experiment import Experiment
from runner.forecast._estimate import estimate, unknown_steps
from runner.forecast._step_times import step_times_of, steps_left
from runner.forecast.forecast import forecast
from runner.plan.work import Work, prepare
from tests.conftest import TINY
from tests.made.timings import audited, cluster, done


def seconds_of(work: Work, arm: str) -> float:
    """Of one Run of `done(..., 10.0)` after the first two, which are asked more."""
    return 10.0 + 1.0 * len(work.asked(work.plan.arms[arm][-1]))


def test_one_worker_takes_the_sum_and_enough_workers_the_longest(known: Work):
    times = step_times_of(known, None)
    each = [sum(times.of[step].median for step in steps_left(known, r)) for r in known.pending]
    assert len(each) == 10
    # The second Run of an arm is asked for sanity's sake too.
    assert each[-1] == pytest.approx(seconds_of(known, "erm"))
    one, many = (estimate(known, cluster(cpus=n), times) for n in (1, 64))
    assert one.runs_s == one.total_s == pytest.approx(sum(each))
    assert one.idle == pytest.approx(0)
    assert many.runs_s == pytest.approx(max(each))
    assert many.idle == pytest.approx(1 - sum(each) / (64 * max(each)))


def test_a_faster_cluster_takes_a_share_of_the_time_beside_its_start(known: Work):
    times = step_times_of(known, None)
    plain = estimate(known, cluster(), times)
    fast = estimate(known, cluster(speed=4, start_s=7), times)
    assert fast.runs_s == pytest.approx(plain.runs_s / 4)
    assert fast.total_s == pytest.approx(plain.runs_s / 4 + 7)


def test_what_is_done_takes_no_time(work: Work):
    for arm, runs in work.plan.arms.items():
        for number in range(len(runs)):
            done(work, arm, number, 10.0)
    audited(work)
    assert estimate(work, cluster(start_s=9), step_times_of(work, None)).total_s == 0
    assert "in all 0 s [0 s to 0 s" in forecast(work, cluster())


def test_a_question_that_was_never_asked_has_no_time_either(known: Work):
    attacks = {"new": {"name": "fgsm"}}
    robustness = {**TINY["robustness"], "attacks": TINY["robustness"]["attacks"] | attacks}
    more = Experiment.model_validate({**TINY, "robustness": robustness})
    asked = prepare(more, known.store.root)
    assert unknown_steps(asked, step_times_of(asked, None)) == {"erm": ["fgsm"], "pgd_at": ["fgsm"]}
