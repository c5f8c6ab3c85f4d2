"""Lanes over the cluster: one TorchTrainer per node that has room, and a queue that feeds them."""

import contextlib
import math
import os
import shutil
import signal
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import ray
from ray.train import FailureConfig, LoggingConfig, RunConfig, ScalingConfig, UserCallback
from ray.train.torch import TorchConfig, TorchTrainer

from runner.data import Dataset
from runner.experiment import Fleet
from runner.lane import lane
from runner.queue import RunQueue, Snapshot, Task
from runner.store import Store

POLL_S = 0.5
LEAVE_S = 60.0  # for idle lanes to end; Ray Train takes some seconds, more on a busy machine
MAX_STARTS = 3  # of lanes in a row that end no Run

# Every one of these is unset by default in Ray, or set to a value that suits longer jobs.
ENVIRONMENT = {
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",  # of the lane's controller; 2 s by default
    "RAY_TRAIN_ENABLE_PRINT_PATCH": "0",  # prints came out twice
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
}


class NoCluster(ValueError):
    """There is no cluster where RAY_ADDRESS says."""


class NoRoom(ValueError):
    """No node can hold what one Run asks for."""


class Node(NamedTuple):
    """A node with room for a lane."""

    id: str
    workers: int


def connect() -> None:
    """Join the cluster that RAY_ADDRESS names (a submitted job has it), or start one here.

    Raises:
        NoCluster: RAY_ADDRESS names a cluster that does not answer.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    if ray.is_initialized():
        return
    address = os.environ.get("RAY_ADDRESS", "local")
    local = {"include_dashboard": False} if address == "local" else {}
    stop = signal.getsignal(signal.SIGTERM)
    try:
        host, colon, port = address.rpartition(":")
        if colon and port.isdigit() and "/" not in host:
            # Ray itself tries for more than three minutes before it says so.
            socket.create_connection((host, int(port)), timeout=10).close()
        ray.init(address=address, log_to_driver=False, logging_level="ERROR", **local)  # pyright: ignore[reportArgumentType]
    except (OSError, ValueError, RuntimeError) as error:
        raise NoCluster(
            f"no Ray cluster answers at RAY_ADDRESS={address} ({error}); start it, or unset "
            "RAY_ADDRESS to use this machine alone; a cluster that asks for a token needs "
            "RAY_AUTH_MODE=token here too"
        ) from None
    if callable(stop) and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, stop)  # Ray has put its own there, which knows no checkpoint
    token = Path.home() / ".ray" / "auth_token"
    if token.exists():
        token.chmod(0o600)  # Ray writes it readable for everybody


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
    with opened(dataset, fleet, at, show, most=len(tasks)) as queue:
        ray.get(queue.add.remote(list(tasks)))
        ray.get(queue.close.remote())
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
    most: float = math.inf,
) -> Iterator[Any]:
    """Give the handle of a queue, a Ray actor, whose tasks are done by lanes until it is left.

    Ray is connected. Whoever has the handle adds tasks and asks for their outcome. Leaving stops
    the queue: by then nobody waits for what is not done, and a Run in work has its checkpoints.

    Args:
        most: Runs at a time; otherwise as many as have room.

    Raises:
        NoRoom: no node can hold one Run's workers; nothing was started.
    """
    nodes_with_room(ray.nodes(), fleet)
    materials = {"dataset": ray.put(dataset), "store": at}
    queue: Any = ray.remote(RunQueue).options(**beside_driver()).remote(materials)
    left, patience_s = threading.Event(), 0.0
    watcher = threading.Thread(
        target=_watch, args=(queue, most, fleet, at, show, left), name="watcher", daemon=True
    )
    watcher.start()
    try:
        yield queue
        patience_s = LEAVE_S
    finally:
        queue.stop.remote("nobody waits for it any more")
        watcher.join(patience_s)
        left.set()
        if not watcher.is_alive():
            ray.kill(queue)


def beside_driver() -> dict[str, Any]:
    """Return the options of an actor that is to live as long as the driver's node."""
    here = ray.get_runtime_context().get_node_id()
    return {"num_cpus": 0, "label_selector": {ray._raylet.RAY_NODE_ID_KEY: here}}  # pyright: ignore[reportAttributeAccessIssue]


def _watch(
    queue: Any,
    most: float,
    fleet: Fleet,
    at: Store,
    show: Callable[[Snapshot], None],
    left: threading.Event,
) -> None:
    """Keep lanes at work until the queue hands out nothing more, and show its state.

    A lane's dead workers are started again by Ray Train. When all lanes ended with work left they
    are started again here, on whatever nodes then have room, until MAX_STARTS starts in a row
    ended no Run. Ends after the last lane.
    """
    lanes: list[threading.Thread] = []
    starts = ended = 0
    try:
        while True:
            lanes = _start_lanes(queue, most, fleet, at)
            while any(lane.is_alive() for lane in lanes) and not left.wait(POLL_S):
                show(ray.get(queue.snapshot.remote()))
            if left.is_set():
                return
            now: Snapshot = ray.get(queue.snapshot.remote())
            show(now)
            starts = 0 if now.ended > ended else starts + 1
            ended = now.ended
            if now.stopped or (now.closed and not now.waiting):
                return
            if starts == MAX_STARTS:
                why = "; ".join(now.notes[-1:])
                ray.get(queue.stop.remote(f"{starts} starts in a row ended no Run; {why}"))
                return
    except Exception as error:
        ray.get(queue.stop.remote(f"{type(error).__name__}: {error}"))
    finally:
        for lane in lanes:
            lane.join()


def nodes_with_room(nodes: Sequence[dict[str, Any]], fleet: Fleet) -> list[Node]:
    """Return the nodes that can hold at least one Run's workers, and how many workers each.

    Raises:
        NoRoom: there is none.
    """
    found = []
    for node in nodes:
        if not node["Alive"]:
            continue
        has = node["Resources"]
        workers = int(has.get("CPU", 0) / fleet.num_cpus)
        if fleet.num_gpus:
            workers = min(workers, _share(has.get("GPU", 0), fleet.num_gpus))
        if fleet.max_workers:
            workers = min(workers, fleet.max_workers)
        workers -= workers % fleet.workers_per_run
        if workers:
            found.append(Node(node["NodeID"], workers))
    if not found:
        sizes = ", ".join(
            f"{n['Resources'].get('CPU', 0):g} CPUs and {n['Resources'].get('GPU', 0):g} GPUs"
            for n in nodes
            if n["Alive"]
        )
        raise NoRoom(
            f"a Run needs {fleet.workers_per_run} workers on one node, each with {fleet.num_cpus} "
            f"CPUs and {fleet.num_gpus:g} GPUs, and no node has that (nodes: {sizes}); "
            "lower fleet.num_cpus, fleet.num_gpus or fleet.workers_per_run"
        )
    return found


def _share(gpus: float, num_gpus: float) -> int:
    """How many workers the GPUs hold; a share never straddles two GPUs."""
    # Rounded down with a grain of tolerance: 0.333 makes three, but 0.334 only two.
    return int(gpus) * int(1 / num_gpus + 1e-3) if num_gpus < 1 else int(gpus / num_gpus)


def _start_lanes(queue: Any, most: float, fleet: Fleet, at: Store) -> list[threading.Thread]:
    """One lane per node with room, each watched by a thread of the driver."""
    threads = []
    wanted = most * fleet.workers_per_run
    for node in nodes_with_room(ray.nodes(), fleet):
        workers = int(min(node.workers, wanted))
        if not workers:
            break
        wanted -= workers
        name = f"lane-{uuid.uuid4().hex[:8]}"
        thread = threading.Thread(
            target=partial(_run_lane, name, queue, node._replace(workers=workers), fleet, at),
            name=name,
            daemon=True,
        )
        thread.start()
        threads.append(thread)
    return threads


class Blame(UserCallback):
    """Tells the queue whose worker died of itself: Ray Train tears the others of a lane down."""

    def __init__(self, queue: Any, lane: str, workers: int, workers_per_run: int) -> None:
        self.queue, self.lane = queue, lane
        self.workers, self.workers_per_run = workers, workers_per_run

    def after_exception(self, run_context: Any, worker_exceptions: dict[int, Exception]) -> None:
        """Called by the lane's controller, with the workers that failed, before it starts anew."""
        blamed = culprits([*worker_exceptions], self.workers, self.workers_per_run)
        if not blamed:
            note = f"{self.lane}: all workers died at once; their Runs go on from checkpoints"
            ray.get(self.queue.note.remote(note))
        for rank in blamed:
            ray.get(self.queue.blame.remote(f"{self.lane}/{rank}"))


def culprits(dead: Sequence[int], workers: int, workers_per_run: int) -> list[int]:
    """Return the leaders of the Runs that killed a worker, given the ranks that died first.

    When all workers of a lane die at once their node went, and no Run is to blame.
    """
    if len(dead) == workers > 1:
        return []
    return sorted({rank - rank % workers_per_run for rank in dead})


def _run_lane(name: str, queue: Any, node: Node, fleet: Fleet, at: Store) -> None:
    """One lane from start to end; whatever ends it, its Runs go back to the queue."""
    try:
        resources = {"CPU": fleet.num_cpus, "GPU": fleet.num_gpus}
        whole_gpus = fleet.num_gpus >= 1
        trainer = TorchTrainer(
            lane,
            train_loop_config={
                "lane": name,
                "queue": queue,
                "num_cpus": fleet.num_cpus,
                "num_gpus": fleet.num_gpus,
                "workers_per_run": fleet.workers_per_run,
                "checkpoint_every_s": fleet.checkpoint_every_s,
            },
            # Two ranks on one GPU cannot talk through NCCL.
            torch_config=TorchConfig(backend="nccl" if whole_gpus else "gloo"),
            scaling_config=ScalingConfig(
                num_workers=node.workers,
                use_gpu=fleet.num_gpus > 0,
                resources_per_worker={key: value for key, value in resources.items() if value},
                label_selector={ray._raylet.RAY_NODE_ID_KEY: node.id},  # pyright: ignore[reportAttributeAccessIssue]
            ),
            run_config=RunConfig(
                name=name,
                storage_path=str(at.root / "lanes"),
                failure_config=FailureConfig(max_failures=3, controller_failure_limit=5),
                callbacks=[Blame(queue, name, node.workers, fleet.workers_per_run)],
                logging_config=LoggingConfig(log_level="ERROR"),
            ),
        )
        trainer.fit()
    except Exception as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        ray.get(queue.note.remote(f"{name} ended: {type(error).__name__}: {lines[-1]}"))
    finally:
        shutil.rmtree(at.root / "lanes" / name, ignore_errors=True)  # we keep our own checkpoints
    ray.get(queue.release.remote(name))
