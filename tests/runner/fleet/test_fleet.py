"""What the fleet decides before and beside Ray: which cluster, whom to blame, who leads."""

import os
import pickle
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from runner.__main__ import _storage
from runner.fleet.queue import RunQueue, Task
from runner.plan.plan import Run
from runner.plan.work import Work
from runner.train.train import train

pytest.importorskip("ray", reason="machines that only train have no Ray")

from runner.cluster.connect import ENVIRONMENT, NoCluster, connect
from runner.fleet.worker import next_task, refusal


def test_a_cluster_that_does_not_answer_is_named_within_seconds(monkeypatch: pytest.MonkeyPatch):
    for name in ENVIRONMENT:  # connect sets them; afterwards they are as they were
        monkeypatch.setenv(name, os.environ.get(name, ENVIRONMENT[name]))
    with socket.socket() as bound:  # but not listening, so that nobody else takes the port
        bound.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{bound.getsockname()[1]}"
        monkeypatch.setenv("RAY_ADDRESS", address)
        started = time.monotonic()
        with pytest.raises(NoCluster, match=f"RAY_ADDRESS={address}.*unset RAY_ADDRESS"):
            connect()
    assert time.monotonic() - started < 5


def test_an_idle_worker_asks_again_until_there_is_a_task(
    work: Work, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("runner.fleet.worker.WAIT_S", 0.01)
    task = Task(work.plan.runs[0], [])
    answers: list[Any] = ["wait", "wait", task, "wait", None]

    def call(*question: str) -> Any:
        assert question == ("claim", "l/0")
        return answers.pop(0)

    assert next_task(call, "l/0", None, lambda run: "") is task
    assert next_task(call, "l/0", None, lambda run: "") is None
    assert not answers


HANDS_OUT = """
import pickle, sys
from runner.fleet.queue import RunQueue
queue = RunQueue()
queue.add(pickle.load(sys.stdin.buffer))
queue.close()
given = [queue.claim("l/0"), queue.claim("l/1"), queue.claim("l/2")]
sys.stdout.buffer.write(pickle.dumps([given, "torch" in sys.modules]))
"""


def test_a_task_passes_through_the_queue_as_it_is_and_without_torch(work: Work):
    sent = [Task(run, [train], 1.0 + i) for i, run in enumerate(work.plan.runs[:2])]
    command = [sys.executable, "-c", HANDS_OUT]
    done = subprocess.run(command, input=pickle.dumps(sent), capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    (*given, nothing), torch_too = pickle.loads(done.stdout)
    assert nothing is None
    assert not torch_too
    for before, after in zip(sent, reversed(given), strict=True):  # the heaviest first
        assert (after.run_id, after.cost) == (before.run.id, before.cost)
        assert after.run.recipe() == before.run.recipe()
        assert after.steps == [train]


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


@pytest.mark.parametrize("variable", ["RAY_JOB_ID", "RAY_JOB_CONFIG_JSON_ENV_VAR"])
def test_a_job_writes_to_the_home_folder_since_its_own_is_temporary(
    variable: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.delenv("RAY_JOB_ID", raising=False)
    monkeypatch.delenv("RAY_JOB_CONFIG_JSON_ENV_VAR", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert _storage(None) == Path("results").absolute()
    monkeypatch.setenv(variable, "raysubmit_1")
    assert _storage(None) == tmp_path / "runner-results"
    assert _storage("elsewhere") == Path("elsewhere").absolute()
