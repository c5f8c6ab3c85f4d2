"""Lanes over the cluster: one TorchTrainer per node that has room, and a queue that feeds them."""

import contextlib
import math
import re
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import ray
import ray.exceptions
from ray.train import FailureConfig, LoggingConfig, RunConfig, ScalingConfig, WorkerGroupError
from ray.train.torch import TorchConfig

from runner.cluster import beside_driver, on_node
from runner.data import Dataset
from runner.experiment import Fleet
from runner.lane import lane
from runner.progress import duration
from runner.queue import RunQueue, Snapshot, Task
from runner.sites import Site, refuse, sites
from runner.store import Store
from runner.trainer import LaneTrainer, free_reserved

POLL_S = 0.5
LEAVE_S = 60.0  # for idle lanes to end; Ray Train takes some seconds, more on a busy machine
STOP_S = 15.0  # for workers to write a checkpoint when the driver is told to go
PING_S = 30.0  # for a node to answer; a worker process may have to start first
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
    with opened(dataset, fleet, at, show, tasks) as queue:
        while True:
            now: Snapshot = ray.get(queue.snapshot.remote())
            if not now.working and (now.stopped or not now.waiting):
                return now
            time.sleep(POLL_S)


@contextlib.contextmanager
def opened(
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
        NoRoom: no node can hold one Run's workers; nothing was started.
    """
    if not sites(ray.nodes(), fleet):
        raise refuse(ray.nodes(), fleet)
    materials = {"dataset": ray.put(dataset), "store": at}
    queue: Any = ray.remote(RunQueue).options(**beside_driver()).remote(materials)
    if tasks is not None:
        ray.get(queue.add.remote(list(tasks)))
        ray.get(queue.close.remote())
    left, patience_s = threading.Event(), 0.0
    watcher = threading.Thread(
        target=_watch, args=(queue, fleet, show, left), name="watcher", daemon=True
    )
    watcher.start()
    try:
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
    queue: Any, fleet: Fleet, show: Callable[[Snapshot], None], left: threading.Event
) -> None:
    """Keep a lane at work wherever there is room, and show the queue's state; ends after the last.

    A node that joins gets a lane. Where a lane ended with work left another one is started, until
    MAX_STARTS in a row ended no Run there.
    """
    lanes: list[Lane] = []
    fruitless: Counter[str] = Counter()  # lanes in a row that ended no Run, by node
    had_room, no_room, broke = time.monotonic(), False, False
    try:
        while not left.wait(POLL_S):
            nodes = ray.nodes()
            over = [one for one in lanes if one.is_over(nodes)]
            lanes = [one for one in lanes if one not in over]
            for one in over:
                broke = broke or one.broken
                for node in {*one.site.nodes}:
                    fruitless[node] = fruitless[node] + 1 if one.fruitless else 0
            now: Snapshot = ray.get(queue.snapshot.remote())  # with what they gave back
            show(now._replace(no_room=no_room))
            if now.stopped or (now.closed and not now.waiting):
                if lanes:
                    continue
                return
            if broke:  # its controller may be gone, or go only now
                free_reserved()
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


class Lane(threading.Thread):
    """One TorchTrainer on a site, in a thread of the driver. However it ends, its Runs go back."""

    def __init__(self, queue: Any, fleet: Fleet, site: Site) -> None:
        super().__init__(name=f"lane-{site.address}-{uuid.uuid4().hex[:8]}", daemon=True)
        self.queue, self.fleet, self.site = queue, fleet, site
        self.broken = True  # until it has ended in order
        self.fruitless = False  # whether it broke off and no Run had ended in it
        self._lost = False  # with its node: nobody waits for it any more
        self._losing = threading.Lock()

    def run(self) -> None:
        """Train until the queue has nothing more, or a worker dies; the watcher starts another."""
        try:
            with tempfile.TemporaryDirectory(prefix="lane-") as folder:
                self._trainer(folder).fit()
            self.broken = False
        except WorkerGroupError as error:
            if self._stands():
                self._blame(error.worker_failures)
        except Exception as error:
            if self._stands():
                lines = str(error).strip().splitlines() or [""]
                self._note(f"{self.name} ended: {type(error).__name__}: {lines[-1]}")
        if not self._lost:
            ended = ray.get(self.queue.release.remote(self.name))
            self.fruitless = self.broken and not ended

    def is_over(self, nodes: Sequence[Mapping[str, Any]]) -> bool:
        """Whether its Runs went back, since it ended or its node, as Ray lists them, is gone.

        Ray Train may notice the latter a minute later.
        """
        alive = {node["NodeID"] for node in nodes if node["Alive"]}
        if self.is_alive() and not alive >= {*self.site.nodes}:
            self._lose()
        return self._lost or not self.is_alive()

    def _stands(self) -> bool:
        """Whether its nodes answer; else its Runs go back."""
        if not all(_answers(node) for node in {*self.site.nodes}):
            self._lose()
        return not self._lost

    def _lose(self) -> None:
        with self._losing:
            if self._lost:
                return
            self._note(
                f"{self.name}: its node was lost; its Runs go on from their last checkpoints"
            )
            ray.get(self.queue.release.remote(self.name))
            self._lost = True

    def _trainer(self, folder: str) -> LaneTrainer:
        """The trainer. It keeps nothing: checkpoints are ours, and so is starting anew."""
        fleet, resources = self.fleet, {"CPU": self.fleet.num_cpus, "GPU": self.fleet.gpus}
        return LaneTrainer(
            lane,
            train_loop_config={
                "lane": self.name,
                "queue": self.queue,
                "num_cpus": fleet.num_cpus,
                "num_gpus": fleet.gpus,
                "workers_per_run": fleet.workers_per_run,
                "checkpoint_every_s": fleet.checkpoint_every_s,
                "hang_after_s": fleet.hang_after_s,
            },
            # Two ranks on one GPU cannot talk through NCCL.
            torch_config=TorchConfig(backend="nccl" if fleet.gpus >= 1 else "gloo"),
            scaling_config=ScalingConfig(
                num_workers=self.site.workers,
                use_gpu=fleet.gpus > 0,
                resources_per_worker={key: value for key, value in resources.items() if value},
                label_selector=[on_node(node)["label_selector"] for node in self.site.nodes],
            ),
            run_config=RunConfig(
                name=self.name,
                storage_path=folder,
                failure_config=FailureConfig(max_failures=0, controller_failure_limit=0),
                logging_config=LoggingConfig(log_level="ERROR"),
            ),
        )

    def _blame(self, failures: Mapping[int, Exception]) -> None:
        """Tell the queue whose worker died of itself: the others were torn down with the lane."""
        blamed = culprits([*failures], self.site.workers, self.fleet.workers_per_run)
        if not blamed:
            self._note(
                f"{self.name}: all its workers died at once; its Runs go on from their last "
                "checkpoints"
            )
        for rank in blamed:
            why = _in_short(failures.get(rank, next(iter(failures.values()))))
            ray.get(self.queue.blame.remote(f"{self.name}/{rank}", why))

    def _note(self, text: str) -> None:
        ray.get(self.queue.note.remote(text))


def culprits(dead: Sequence[int], workers: int, workers_per_run: int) -> list[int]:
    """Return the leaders of the Runs that killed a worker, given the ranks that died first.

    When all workers of a lane die at once something befell the node, and no Run is to blame.
    """
    if len(dead) == workers > 1:
        return []
    return sorted({rank - rank % workers_per_run for rank in dead})


def _answers(node: str) -> bool:
    """Whether a node still does what it is asked."""
    nothing = ray.remote(lambda: None)  # not by its name: our modules need not be imported for it
    asked = nothing.options(num_cpus=0, max_retries=0, **on_node(node)).remote()
    until = time.monotonic() + PING_S
    while time.monotonic() < until:
        if ray.wait([asked], timeout=POLL_S)[0]:
            with contextlib.suppress(ray.exceptions.RayError):
                ray.get(asked)
                return True
            return False
        if not any(n["Alive"] for n in ray.nodes() if n["NodeID"] == node):
            break
    ray.cancel(asked, force=True)
    return False


def _in_short(error: Exception) -> str:
    """What Ray says of a worker's death, in a few words; nothing where it does not know."""
    text = str(error)
    if kind := re.search(r"exit type: (\w+)", text):
        return "the node was out of memory" if kind[1] == "NODE_OUT_OF_MEMORY" else ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
