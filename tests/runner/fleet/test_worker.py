"""The loop of a worker, in this process and without a cluster."""

import json
from dataclasses import replace
from typing import Any

import pytest
import torch

pytest.importorskip("ray", reason="machines that only train have no Ray")

from runner.fleet import worker
from runner.fleet.queue import RunQueue, Task
from runner.fleet.worker import next_task, refusal
from runner.pipeline import task_of
from runner.plan.plan import Run
from runner.plan.work import Work
from runner.storage import store
from runner.train.train import train
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


def test_an_idle_worker_asks_again_until_there_is_a_task(
    work: Work, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(worker, "WAIT_S", 0.01)
    task = Task(work.plan.runs[0], [])
    answers: list[Any] = ["wait", "wait", task, "wait", None]

    def call(*question: str) -> Any:
        assert question == ("claim", "l/0")
        return answers.pop(0)

    assert next_task(call, "l/0", None, lambda run: "") is task
    assert next_task(call, "l/0", None, lambda run: "") is None
    assert not answers


def test_a_run_that_the_device_cannot_do_fails_alone(work: Work):
    queue, runs = RunQueue(), work.plan.runs[:3]
    queue.add([Task(run, []) for run in runs])

    def call(method: str, *arguments: object) -> Any:
        return getattr(queue, method)(*arguments)

    def refuse(run: Run) -> str:
        return "" if run is runs[2] else "the GPU is too old"

    task = next_task(call, "l/0", None, refuse)
    assert task is not None
    assert task.run is runs[2]
    failed = queue.snapshot().failed
    assert failed == {run.id: "the GPU is too old" for run in runs[:2]}


def test_a_cpu_is_refused_no_precision(work: Work):
    run = work.plan.runs[0]
    bf16 = replace(run, training=run.training.model_copy(update={"precision": "bf16"}))
    assert refusal(bf16, torch.device("cpu")) == ""


def test_a_word_that_soon_follows_one_of_its_kind_is_left_out(monkeypatch: pytest.MonkeyPatch):
    said: list[str] = []

    def tell(word: str, part: float) -> int:
        said.append(word)
        return len(said)

    sparing = worker.sparing(tell)
    monkeypatch.setattr(worker, "SOON_S", 60.0)
    words = ["epoch 1/3", "epoch 2/3", "epoch 3/3", "answers", "epoch 1/3"]
    assert [sparing(word, 0.0) for word in words] == [1, 1, 1, 2, 3]
    assert said == ["epoch 1/3", "answers", "epoch 1/3"]
    monkeypatch.setattr(worker, "SOON_S", 0.0)
    assert sparing("epoch 2/3", 0.0) == 4, "later it is said, and a stop heard"
