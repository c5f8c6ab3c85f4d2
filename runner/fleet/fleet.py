"""Lanes over the cluster: one TorchTrainer per node that has room, and a queue that feeds them."""

import contextlib
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import ray
import ray.exceptions

from runner.cluster.connect import beside_driver
from runner.cluster.sites import Site, refuse, sites
from runner.data import Dataset
from runner.driver.progress import duration
from runner.driver.snapshot import Snapshot
from runner.experiment.fleet import Fleet
from runner.fleet._lane import POLL_S, Lane
from runner.fleet.queue import RunQueue, Task
from runner.storage.store import Store

LEAVE_S = 60.0  # for idle lanes to end; Ray Train takes some seconds, more on a busy machine
STOP_S = 15.0  # for workers to write a checkpoint when the driver is told to go
MAX_STARTS = 3  # of lanes in a row that end no Run, on the same nodes


def train_all(
    tasks: Sequence[Task],
    dataset: Dataset,
    fleet: Fleet,
    at: Store,
    show: Callable[[Snapshot], None],
) -> Snapshot:
    """Do every task on the cluster, in that order, and return the queue's last state.

    Args:
        show: called twice a second with the queue's state, in another thread.

    Raises:
        NoRoom: no node can hold one Run's workers.
    """
    with open_fleet(dataset, fleet, at, show, tasks) as queue:
        while True:
            now: Snapshot = ray.get(queue.snapshot.remote())
            if not now.working and (now.stopped or not now.waiting):
                return now
            time.sleep(POLL_S)


@contextlib.contextmanager
def open_fleet(
    dataset: Dataset,
    fleet: Fleet,
    at: Store,
    show: Callable[[Snapshot], None],
    tasks: Sequence[Task] | None = None,
) -> Iterator[Any]:
    """Give the handle of a queue, a Ray actor, whose tasks are done by lanes until it is left.

    Ray is connected. Leaving stops the queue: by then nobody waits for what is not done. Who is
    made to leave by an exception waits until the Runs in work have written their checkpoints,
    STOP_S at most.

    Args:
        tasks: all that there ever are; None: whoever has the handle adds them.

    Raises:
        NoRoom: no node can hold one Run's workers.
    """
    if not sites(ray.nodes(), fleet):
        raise refuse(ray.nodes(), fleet)
    materials = {"dataset": ray.put(dataset), "store": at}
    queue: Any = ray.remote(RunQueue).options(**beside_driver()).remote(materials)
    runs, added = math.inf, []
    if tasks is not None:
        runs, added = len(tasks), [queue.add.remote(list(tasks)), queue.close.remote()]
    left, patience_s = threading.Event(), 0.0
    watcher = threading.Thread(
        target=_watch, args=(queue, fleet, show, left, runs), name="watcher", daemon=True
    )
    watcher.start()  # lanes start while the queue's process does
    try:
        ray.get(added)
        yield queue
        patience_s = LEAVE_S
    except BaseException:
        with contextlib.suppress(ray.exceptions.RayError):
            _wait_for_checkpoints(queue)
        raise
    finally:
        queue.stop.remote("nobody waits for it any more")
        watcher.join(patience_s)
        left.set()
        if not watcher.is_alive():
            ray.kill(queue)


def _wait_for_checkpoints(queue: Any) -> None:
    """Stop the queue and wait until no Run is in work, for STOP_S at most."""
    until = time.monotonic() + STOP_S
    ray.get(queue.stop.remote("the driver was stopped"), timeout=STOP_S)
    while time.monotonic() < until:
        now: Snapshot = ray.get(queue.snapshot.remote(), timeout=STOP_S)
        if not now.working:
            break
        time.sleep(POLL_S)


def _watch(
    queue: Any,
    fleet: Fleet,
    show: Callable[[Snapshot], None],
    left: threading.Event,
    runs: float,
) -> None:
    """Keep a lane at work wherever there is room, and show the queue's state; ends after the last.

    A node that joins gets a lane. Where a lane ended with work left another one is started, until
    MAX_STARTS in a row ended no Run there.

    Args:
        runs: how many there are at first.
    """
    lanes: list[Lane] = []
    fruitless: Counter[str] = Counter()  # lanes in a row that ended no Run, by node
    had_room, no_room = time.monotonic(), False
    try:
        lanes += _started(queue, fleet, sites(ray.nodes(), fleet), runs * fleet.workers_per_run)
        while not left.wait(POLL_S):
            nodes = ray.nodes()
            over = [one for one in lanes if one.is_over(nodes)]
            lanes = [one for one in lanes if one not in over]
            for one in over:
                for node in {*one.site.nodes}:
                    fruitless[node] = fruitless[node] + 1 if one.fruitless else 0
            now: Snapshot = ray.get(queue.snapshot.remote())  # with what they gave back
            show(now._replace(no_room=no_room))
            if now.stopped or (now.closed and not now.waiting):
                if lanes:
                    continue
                return
            taken = {node for one in lanes for node in one.site.nodes}
            taken |= {node for node, times in fruitless.items() if times == MAX_STARTS}
            wanted = _runs_left(now) * fleet.workers_per_run
            wanted -= sum(one.site.workers for one in lanes)
            lanes += _started(queue, fleet, sites(nodes, fleet, taken), wanted)
            no_room = not lanes
            if lanes:
                had_room = time.monotonic()
            elif sites(nodes, fleet):
                why = "; ".join(now.notes[-1:])
                queue.stop.remote(f"{MAX_STARTS} starts in a row ended no Run; {why}")
            elif (alone_s := time.monotonic() - had_room) >= fleet.wait_for_nodes_s:
                queue.stop.remote(f"no room for {duration(alone_s)}: {refuse(nodes, fleet)}")
    except Exception as error:
        ray.get(queue.stop.remote(f"{type(error).__name__}: {error}"))
    finally:
        for one in lanes:
            one.join()


def _runs_left(now: Snapshot) -> float:
    """How many Runs there are still to do; any number as long as more may be added."""
    return now.waiting + len(now.working) if now.closed else math.inf


def _started(queue: Any, fleet: Fleet, found: Sequence[Site], wanted: float) -> list["Lane"]:
    """Start a lane on each site, with as many workers as are wanted at the most in all."""
    lanes = []
    for site in found:
        workers = int(min(site.workers, wanted))
        if workers <= 0:
            break
        wanted -= workers
        lanes.append(Lane(queue, fleet, site._replace(nodes=site.nodes[:workers])))
        lanes[-1].start()
    return lanes
