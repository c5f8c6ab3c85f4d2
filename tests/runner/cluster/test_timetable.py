"""The order of a queue, held against the best there is, and what it makes of the time left."""

import heapq
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from runner.cluster.timetable import TAIL, list_schedule, turns
from runner.driver.snapshot import Snapshot, remaining_s
from runner.fleet.queue import RunQueue, Task

UNITS = [1.0, 8.0, 10.0, 4.0]  # of the arms of benchmarks/fleet_scale.py


def mixed(num_runs: int) -> list[float]:
    """The seconds of Runs over arms that differ, in the plan's order."""
    random = np.random.default_rng(0)
    return [UNITS[i % 4] * random.uniform(0.9, 1.1) for i in range(num_runs)]


def run_all(seconds: list[float], workers: int) -> tuple[list[int], list[tuple[float, Snapshot]]]:
    """Do Runs that take just their weights, as a real queue hands them out to so many workers.

    Returns:
        Their numbers in turn, and the state at each end of one, with its time.
    """
    queue = RunQueue()
    runs: list[Any] = [SimpleNamespace(id=i) for i in range(len(seconds))]
    tasks = zip(runs, seconds, strict=True)
    queue.add([Task(run, (), weight) for run, weight in tasks])
    queue.close()
    turn, states, busy, began = [], [], [], {}

    def claim(worker: str, now: float) -> None:
        task = queue.claim(worker)
        if isinstance(task, Task):
            turn.append(task.run.id)
            began[worker] = now
            heapq.heappush(busy, (now + task.cost, worker))

    for n in range(workers):
        claim(f"l/{n}", 0.0)
    while busy:
        now, worker = heapq.heappop(busy)
        queue.finish(worker)
        for _, other in busy:
            cost = queue.snapshot().working[other].cost
            queue.tell(other, "trains", (now - began[other]) / cost)
        states.append((now, queue.snapshot()._replace(since_first_claim_s=now)))
        claim(worker, now)
    return turn, states


@pytest.mark.parametrize(
    ("runs", "workers"), [(100, 16), (100, 64), (500, 64), (2000, 64), (2000, 512), (7, 16)]
)
def test_the_order_of_the_queue_ends_within_five_percent_of_the_longest_first(
    runs: int, workers: int
):
    seconds = mixed(runs)
    ended = max(list_schedule((seconds[i] for i in turns(seconds, workers)), workers))
    assert ended <= 1.05 * max(list_schedule(sorted(seconds, reverse=True), workers))


def test_until_the_tail_all_arms_advance_alike():
    seconds = mixed(2000)
    turn = turns(seconds, 64)
    assert turn[: 2000 - TAIL * 64] == [*range(2000 - TAIL * 64)]
    tail = [seconds[i] for i in turn[2000 - TAIL * 64 :]]
    assert tail == sorted(tail, reverse=True)
    assert sorted(turn) == [*range(2000)]


def test_runs_of_which_nothing_is_known_keep_their_order():
    assert turns([1.0] * 50, 8) == [*range(50)]
    assert turns([], 8) == []


@pytest.mark.parametrize(("runs", "workers"), [(40, 3), (100, 64), (5, 8)])
def test_the_queue_hands_out_in_that_order(runs: int, workers: int):
    seconds = mixed(runs)
    assert run_all(seconds, workers)[0] == turns(seconds, workers)


def test_a_queue_to_which_clients_add_keeps_the_order_of_adding():
    queue = RunQueue()
    runs: list[Any] = [SimpleNamespace(id=i) for i in range(3)]
    queue.add([Task(run, (), weight) for run, weight in zip(runs, (1.0, 9.0, 5.0), strict=True)])
    given = [queue.claim(f"l/{i}") for i in range(3)]
    assert [task.run.id for task in given if isinstance(task, Task)] == [0, 1, 2]


def test_the_time_left_is_exact_while_all_workers_are_busy():
    seconds, workers = mixed(200), 8
    _, states = run_all(seconds, workers)
    end, busy = states[-1][0], [(now, state) for now, state in states if state.waiting]
    for now, state in busy:
        assert now + remaining_s(state) == pytest.approx(sum(seconds) / workers)
    # What it leaves out is the idleness at the very end.
    assert sum(seconds) / workers == pytest.approx(end, rel=0.01)
    assert remaining_s(states[-1][1]) == 0


def test_workers_that_are_free_take_the_next_run():
    assert list_schedule([5.0] * 12, 4) == [15.0] * 4
    assert list_schedule([5.0] * 13, 4) == [15.0, 15.0, 15.0, 20.0]
    assert list_schedule([1.0, 2.0, 3.0], 1) == [6.0]
    assert list_schedule([1.0, 2.0, 3.0], 5) == [0.0, 0.0, 1.0, 2.0, 3.0]
    assert list_schedule([], 2) == [0.0, 0.0]
    assert max(list_schedule([1, 1, 1, 1, 4], 2)) == 6
    assert max(list_schedule([4, 1, 1, 1, 1], 2)) == 4
