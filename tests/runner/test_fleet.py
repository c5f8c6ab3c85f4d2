"""What the fleet decides before and beside Ray: which nodes, how many workers, whom to blame."""

import os
import socket
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from runner.__main__ import _storage
from runner.experiment import Fleet
from runner.plan import Run
from runner.queue import RunQueue, Task
from runner.work import Work

pytest.importorskip("ray", reason="machines that only train have no Ray")

from runner.fleet import (
    ENVIRONMENT,
    NoCluster,
    Node,
    NoRoom,
    connect,
    culprits,
    nodes_with_room,
)
from runner.lane import next_task, refusal


def node(name: str, cpus: float = 0, gpus: float = 0, alive: bool = True) -> dict[str, Any]:
    """A node as ray.nodes() describes it: what it has none of is not in its resources."""
    has = {kind: amount for kind, amount in {"CPU": cpus, "GPU": gpus}.items() if amount}
    return {"NodeID": name, "Alive": alive, "Resources": {**has, "memory": 1e9}}


def test_each_node_with_room_gets_as_many_workers_as_fit():
    nodes = [node("big", 16), node("small", 3), node("none")]
    assert nodes_with_room(nodes, Fleet()) == [Node("big", 16), Node("small", 3)]
    assert nodes_with_room(nodes, Fleet(num_cpus=4)) == [Node("big", 4)]
    assert nodes_with_room(nodes, Fleet(max_workers=2)) == [Node("big", 2), Node("small", 2)]


def test_a_dead_node_has_no_room():
    nodes = [node("dead", 16, alive=False), node("living", 2)]
    assert nodes_with_room(nodes, Fleet()) == [Node("living", 2)]


def test_with_gpus_the_scarcer_of_cpus_and_gpus_decides():
    nodes = [node("cpus", 64), node("gpus", 8, 4), node("starved", 1, 4)]
    fleet = Fleet(num_cpus=1, num_gpus=1)
    assert nodes_with_room(nodes, fleet) == [Node("gpus", 4), Node("starved", 1)]


def test_workers_that_make_no_whole_run_are_left_out():
    nodes = [node("seven", 7), node("three", 3), node("one", 1)]
    fleet = Fleet(workers_per_run=3)
    assert nodes_with_room(nodes, fleet) == [Node("seven", 6), Node("three", 3)]
    fleet = Fleet(workers_per_run=3, max_workers=5)
    assert nodes_with_room(nodes, fleet) == [Node("seven", 3), Node("three", 3)]


@pytest.mark.parametrize(
    ("num_gpus", "on_one", "on_five"),
    [(0.5, 2, 10), (0.25, 4, 20), (0.334, 2, 10), (1 / 3, 3, 15), (0.333, 3, 15), (1, 1, 5)],
)
def test_a_share_of_a_gpu_never_straddles_two(num_gpus: float, on_one: int, on_five: int):
    nodes = [node("one", 64, 1), node("five", 64, 5)]
    expected = [Node("one", on_one), Node("five", on_five)]
    assert nodes_with_room(nodes, Fleet(num_gpus=num_gpus)) == expected


def test_whole_gpus_are_handed_out_whole():
    nodes = [node("one", 64, 1), node("five", 64, 5)]
    assert nodes_with_room(nodes, Fleet(num_gpus=2)) == [Node("five", 2)]


def test_no_room_says_what_was_asked_what_the_nodes_have_and_what_to_lower():
    nodes = [node("a", 2), node("b", 4, 1), node("dead", 64, 8, alive=False)]
    with pytest.raises(NoRoom) as raised:
        nodes_with_room(nodes, Fleet(num_cpus=3, num_gpus=0.5, workers_per_run=2))
    message = str(raised.value)
    assert "2 workers on one node, each with 3 CPUs and 0.5 GPUs" in message
    assert "(nodes: 2 CPUs and 0 GPUs, 4 CPUs and 1 GPUs)" in message
    assert "lower fleet.num_cpus, fleet.num_gpus or fleet.workers_per_run" in message


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


def test_the_leader_of_the_run_whose_worker_died_is_blamed():
    assert culprits([2], workers=4, workers_per_run=1) == [2]
    assert culprits([3], workers=4, workers_per_run=2) == [2]
    assert culprits([2, 3, 0], workers=8, workers_per_run=2) == [0, 2]
    assert culprits([0], workers=1, workers_per_run=1) == [0]


def test_nobody_is_blamed_when_all_workers_of_a_lane_die_at_once():
    assert culprits([0, 1, 2, 3], workers=4, workers_per_run=1) == []


def test_an_idle_worker_asks_again_until_there_is_a_task(
    work: Work, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("runner.lane.WAIT_S", 0.01)
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
