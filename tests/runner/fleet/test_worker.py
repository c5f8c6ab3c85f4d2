"""The loop of a worker, in this process and without Ray."""

import json

from runner.pipeline import task_of
from runner.plan.plan import Run
from runner.plan.work import Work
from runner.storage import store

from runner.train.train import train  # isort: skip
from runner.train.workplace import Workplace
from tests.made.training import do


def test_a_worker_trains_asks_and_attacks_every_run(place: Workplace, work: Work):
    runs = work.plan.runs[:4]
    queue = do(runs, task_of(work, runs[0]).steps, place)
    assert queue.snapshot().done == 4
    assert all(work.is_done(run) for run in runs)
    facts = store.facts(work.store.run(runs[0].id))
    assert facts is not None
    assert facts["train_time_s"] > 0
    lines = (work.store.run(runs[0].id) / "epochs.jsonl").read_bytes().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [0, 1]
    assert list(work.store.run(runs[0].id).glob("events.out.tfevents.*"))


def test_doing_it_again_does_nothing(place: Workplace, work: Work):
    runs = work.plan.runs[:2]
    do(runs, task_of(work, runs[0]).steps, place)
    before = {p: p.stat().st_mtime_ns for p in work.store.root.rglob("*")}
    do(runs, task_of(work, runs[0]).steps, place)
    assert before == {p: p.stat().st_mtime_ns for p in work.store.root.rglob("*")}


def test_a_run_that_raises_is_reported_and_the_next_one_is_done(place: Workplace, work: Work):
    from dataclasses import replace

    good = work.plan.arms["erm"][0]
    bad = replace(good, training=good.training.model_copy(update={"lr": 1e20}))
    queue = do([bad, good], [train], place)
    state = queue.snapshot()
    assert state.done == 1
    assert "lower training.lr" in state.failed[bad.id]
    assert not work.is_trained(bad)


def test_a_full_disk_stops_the_queue_with_the_reason(place: Workplace, work: Work):
    import errno

    def full(run: Run, place: Workplace) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    state = do(work.plan.runs[:3], [full], place).snapshot()
    assert len(state.failed) == 1
    assert "No space left" in state.stopped
