"""Runs that are trained in the test's own process, without Ray."""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from defenses import Defense
from runner.fleet.queue import RunQueue, Step, Task
from runner.models.small_cnn import SmallCnn
from runner.plan.plan import Run
from runner.train.fit import fit
from runner.train.workplace import Workplace


def trained(run: Run, place: Workplace, state: dict | None = None) -> list[tuple[dict, dict]]:
    """Metrics and state after each epoch, from a checkpoint's state where one is given."""
    epochs: Iterator = fit(run, place.pool_images, place.pool_labels, place.shape, state=state)
    return [(epoch.metrics, copy.deepcopy(epoch.state())) for epoch in epochs]


def a_run(work: Any, defense: Defense, **training: Any) -> Run:
    """The first Run of TINY under another defense and recipe, without BatchNorm."""
    run = work.plan.arms["erm"][0]
    changed = run.training.model_copy(update=training)
    return replace(run, model=SmallCnn(width=4, norm="group"), defense=defense, training=changed)


def do(runs: list[Run], steps: Sequence[Step], place: Workplace) -> RunQueue:
    """Let one worker do the Runs; return its queue. The loop is in a module that knows Ray."""
    worker = pytest.importorskip("runner.fleet.worker", reason="it knows Ray")
    queue = RunQueue()
    queue.add([Task(run, steps) for run in runs])
    queue.close()

    def call(method: str, *arguments: object) -> object:
        return getattr(queue, method)(*arguments)

    def claim() -> Task | None:
        task = queue.claim("l/0")
        assert task != "wait", "a single worker of a closed queue never waits"
        return task

    worker.work(claim, call, "l/0", place._replace(note=queue.note))
    return queue
