"""The queue at 64 nodes and thousands of Runs whose training is a timer: what each Run costs.

    python benchmarks/fleet_scale.py --runs 100 500 2000 [--workers 1] [--order given longest]

Real: the plan, its Runs (rows of 60,000 members), the tasks as they travel, the queue's actor, the
driver that asks for its state twice a second twice over, as `run` does, and each worker's own loop,
`next_task` and `work`, every call of it waited for. Simulated: the nodes, which are threads of a
few actors on one machine, and training, which sleeps, tells of ten epochs, and writes nothing. So
no lane is started (benchmarks/fleet_starts.py starts them), and nothing crosses a network.

Arms take 1, 8, 10 and 4 units of time, as ERM, PGD-AT, TRADES and DP-SGD may, give or take 10 %.
Printed for each number of Runs and each order:

plan       seconds until the driver has the plan, and until the queue has the tasks
overhead   mean over Runs of a worker's seconds beyond its timers, from its first claim on
calls      round trips as workers see them: median and 99th percentile, in milliseconds
makespan   seconds from the first claim to the last Run's end; what list scheduling says beside it
order      `longest` tells the queue each Run's seconds, so that its tail is the longest first
idle       1 - timers / (workers x makespan), and how long the first worker to run out then waits
memory     that no other process shares (USS), of the driver and of the queue's actor, at the end;
           the tasks, as they lie in Ray's object store
"""

import argparse
import logging
import math
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil
import ray
import torch
from ray import cloudpickle

from runner.cluster.timetable import list_schedule, turns
from runner.data import Dataset
from runner.experiment.experiment import Experiment
from runner.experiment.questions import Questions
from runner.fleet.queue import RunQueue, Task
from runner.fleet.worker import next_task, work
from runner.plan.plan import Run
from runner.plan.work import Work, prepare
from runner.storage.store import Store
from runner.train.workplace import Workplace, make_workplace

NODES, PROCESSES, EPOCHS, POLL_S = 64, 4, 10, 0.5
UNITS = {"erm": 1.0, "pgd_at": 8.0, "trades": 10.0, "dp_sgd": 4.0}


class Seen(NamedTuple):
    """What one worker saw of its loop, in seconds; instants are of the machine's one clock."""

    first: float  # its first claim
    last: float  # the end of its last Run
    timers: float
    runs: int
    calls: list[tuple[str, float]]  # method of the queue, seconds


def timer(run: Run, place: Workplace, seconds: float) -> None:
    """Stands for training."""
    for epoch in range(EPOCHS):
        time.sleep(seconds / EPOCHS)
        place.tell(f"epoch {epoch + 1}/{EPOCHS} loss 0.123", 0.9 * (epoch + 1) / EPOCHS)


def nothing(run: Run, place: Workplace, questions: Questions) -> None:
    """Stands for asking and attacking, and is sent with the same questions."""


class Nodes:
    """Some nodes of the cluster: threads that do what the workers of their lanes would do."""

    def work(self, queue: Any, lanes: Sequence[str], workers: int) -> list[Seen]:
        """Do Runs until none is left; one `Seen` a worker."""
        given: Any = ray.get(queue.materials.remote())
        place = make_workplace(ray.get(given["dataset"]), torch.device("cpu"), given["store"])
        seen: list[Seen] = []
        names = [f"{lane}/{rank}" for lane in lanes for rank in range(workers)]
        threads = [
            threading.Thread(target=lambda n=name: seen.append(_one(queue, n, place)))
            for name in names
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(seen) == len(names), "a worker raised"
        return seen


def _one(queue: Any, worker: str, place: Workplace) -> Seen:
    """One worker's loop, the product's own, timed from outside."""
    calls: list[tuple[str, float]] = []
    timers: list[float] = []
    ends = [time.monotonic()]

    def call(method: str, *arguments: object) -> Any:
        started = time.monotonic()
        answer = ray.get(getattr(queue, method).remote(*arguments))
        calls.append((method, time.monotonic() - started))
        if method == "finish":
            ends.append(time.monotonic())
        return answer

    def claim() -> Task | None:
        task = next_task(call, worker, None, lambda run: "")
        if task is not None:
            first: Any = task.steps[0]
            timers.append(first.keywords["seconds"])
        return task

    place = place._replace(tell=partial(call, "tell", worker), note=partial(call, "note"))
    work(claim, call, worker, place)
    return Seen(ends[0], ends[-1], sum(timers), len(timers), calls)


def planned(num_runs: int, num_examples: int, folder: Path) -> Work:
    """A plan of at least so many Runs over four arms; images have four pixels."""
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (num_examples, 1, 2, 2), np.uint8)
    labels = np.arange(num_examples) % 10
    data = Dataset(images, labels, images[:10], labels[:10], 10, (0.5,), (0.5,))
    # What is trained moves nothing here; only the ids must differ.
    arms = {
        name: {"defense": "erm", "training": {"weight_decay": 1e-4 * unit}}
        for name, unit in UNITS.items()
    }
    experiment = {
        "name": "scale",
        "data": "digits",
        "model": {"name": "mlp"},
        "training": {"epochs": EPOCHS, "precision": "fp32"},
        "design": {"num_models": 2 * math.ceil(num_runs / (2 * len(UNITS)))},
        "arms": arms,
        "robustness": {"attacks": {"pgd20": {"name": "pgd", "num_steps": 20}}},
    }
    return prepare(Experiment.model_validate(experiment), folder, data)


def tasks_of(plan: Work, num_runs: int, unit_s: float) -> tuple[list[Task], list[float]]:
    """The first Runs in the plan's order, each with its timer, and the timers' seconds."""
    random, tasks, seconds = np.random.default_rng(1), [], []
    arm_of = {run.id: name for name, runs in plan.plan.arms.items() for run in runs}
    for run in plan.plan.runs[:num_runs]:
        seconds.append(unit_s * UNITS[arm_of[run.id]] * random.uniform(0.9, 1.1))
        asked = [partial(nothing, questions=questions) for questions in plan.questions(run)]
        tasks.append(Task(run, [partial(timer, seconds=seconds[-1]), *asked, *asked]))
    return tasks, seconds


def own_mb(process: psutil.Process) -> float:
    """What a process holds alone, in MB."""
    return process.memory_full_info().uss / 1e6


def queue_process() -> psutil.Process:
    (found,) = (
        p
        for p in psutil.Process().children(recursive=True)
        if p.is_running() and "ray::RunQueue" in " ".join(p.cmdline())
    )
    return found


def watch(queue: Any, over: threading.Event, times: list[float]) -> None:
    """Ask for the queue's state as a driver's threads do."""
    while not over.wait(POLL_S):
        started = time.monotonic()
        ray.get(queue.snapshot.remote())
        times.append(time.monotonic() - started)


def measure(num_runs: int, order: str, given: argparse.Namespace, folder: Path) -> None:
    """Do so many Runs on the simulated nodes, and print what was seen."""
    before, started = own_mb(psutil.Process()), time.monotonic()
    plan = planned(num_runs, given.examples, folder)
    tasks, seconds = tasks_of(plan, num_runs, given.unit)
    if order == "longest":
        tasks = [Task(t.run, t.steps, s) for t, s in zip(tasks, seconds, strict=True)]
    planned_s = time.monotonic() - started
    ray.init(
        address="local",
        num_cpus=PROCESSES,
        object_store_memory=1_000_000_000,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
    )
    materials = {"dataset": ray.put(plan.dataset), "store": Store(folder)}
    queue: Any = ray.remote(RunQueue).options(num_cpus=0).remote(materials)
    actor: Any = ray.remote(Nodes)
    nodes = [actor.remote() for _ in range(PROCESSES)]
    ray.get([node.__ray_ready__.remote() for node in nodes])  # imports are no part of it
    started = time.monotonic()
    tickets = ray.get(queue.add.remote(tasks))
    ray.get(queue.close.remote())
    added_s = time.monotonic() - started
    over, asked = threading.Event(), ([], [])
    watchers = [threading.Thread(target=watch, args=(queue, over, times)) for times in asked]
    for watcher in watchers:
        watcher.start()
    lanes = [
        [f"lane-{n:02d}" for n in range(NODES) if n % PROCESSES == p] for p in range(PROCESSES)
    ]
    found = ray.get(
        [
            node.work.remote(queue, some, given.workers)
            for node, some in zip(nodes, lanes, strict=True)
        ]
    )
    over.set()
    for watcher in watchers:
        watcher.join()
    started = time.monotonic()
    outcome: Any = ray.get(queue.outcome.remote(tickets))
    outcome_s = time.monotonic() - started
    assert outcome.done == num_runs, outcome.failed
    workers = [seen for some in found for seen in some]
    print(f"\n{num_runs} Runs on {NODES} nodes x {given.workers}, order: {order}")
    print(f"plan       {planned_s:.2f} s; added to the queue in {added_s:.2f} s")
    overhead = sum(w.last - w.first - w.timers for w in workers) / num_runs
    print(f"overhead   {overhead * 1e3:.1f} ms a Run; timers {sum(seconds) / num_runs:.2f} s a Run")
    for method in ("claim", "tell", "finish"):
        tell(method, [s for w in workers for name, s in w.calls if name == method])
    tell("snapshot", [*asked[0], *asked[1]])
    print(f"outcome    {outcome_s * 1e3:.0f} ms of all tickets, once")
    first, last = min(w.first for w in workers), max(w.last for w in workers)
    turn = turns([task.cost for task in tasks], len(workers))
    ideal = max(list_schedule((seconds[i] for i in turn), len(workers)))
    print(f"makespan   {last - first:.1f} s; list scheduling of the timers alone {ideal:.1f} s")
    idle = 1 - sum(seconds) / (len(workers) * (last - first))
    print(f"idle       {100 * idle:.1f} %; last {last - min(w.last for w in workers):.1f} s")
    now, actor_mb = own_mb(psutil.Process()), own_mb(queue_process())
    size = len(cloudpickle.dumps(tasks)) / 1e6  # pyright: ignore[reportPrivateImportUsage]
    print(
        f"memory     driver {now:.0f} MB ({before:.0f} before the plan), queue {actor_mb:.0f} MB, "
        f"tasks {size:.0f} MB"
    )
    ray.shutdown()


def tell(method: str, times: Sequence[float]) -> None:
    """Print what calls of one method took."""
    median, most = np.quantile(times, [0.5, 0.99]) * 1e3
    print(f"{method:10} {median:.1f} ms, 99 %: {most:.1f} ms of {len(times)} calls")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, nargs="+", default=[100, 500, 2000])
    parser.add_argument("--order", nargs="+", choices=["given", "longest"], default=["given"])
    parser.add_argument("--workers", type=int, default=1, help="of a node")
    parser.add_argument("--examples", type=int, default=60_000, help="N, of the pool")
    parser.add_argument("--unit", type=float, default=0.5, help="seconds of an ERM Run")
    given = parser.parse_args()
    if len(given.runs) == len(given.order) == 1:
        with tempfile.TemporaryDirectory() as folder:
            measure(given.runs[0], given.order[0], given, Path(folder))
        return
    for num_runs in given.runs:  # a process each, so that none holds what another one left behind
        for order in given.order:
            one = ["--runs", str(num_runs), "--order", order, "--workers", str(given.workers)]
            rest = ["--examples", str(given.examples), "--unit", str(given.unit)]
            subprocess.run([sys.executable, __file__, *one, *rest], check=True)


if __name__ == "__main__":
    import fleet_scale  # workers import its steps by this name, and not from __main__

    fleet_scale.main()
