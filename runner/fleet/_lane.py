"""One lane: a TorchTrainer that is started, watched, and ended."""

import contextlib
import re
import tempfile
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import ray
import ray.exceptions
from ray.train import FailureConfig, LoggingConfig, RunConfig, ScalingConfig, WorkerGroupError
from ray.train.torch import TorchConfig, TorchTrainer

from runner.cluster.connect import on_node
from runner.cluster.known_ray import is_known
from runner.cluster.sites import Site
from runner.experiment.fleet import Fleet
from runner.fleet.worker import worker_loop

POLL_S = 0.5
PING_S = 30.0  # for a node to answer; a worker process may have to start first


class Lane(threading.Thread):
    """One TorchTrainer on a site, in a thread of the driver. However it ends, its Runs go back."""

    def __init__(self, queue: Any, fleet: Fleet, site: Site) -> None:
        super().__init__(name=f"lane-{site.address}-{uuid.uuid4().hex[:8]}", daemon=True)
        self.queue, self.fleet, self.site = queue, fleet, site
        self.fruitless = False  # whether it broke off and no Run had ended in it
        self._lost = False  # with its node: nobody waits for it any more
        self._losing = threading.Lock()

    def run(self) -> None:
        """Train until the queue has nothing more, or a worker dies; the watcher starts another."""
        broken = True
        try:
            with tempfile.TemporaryDirectory(prefix="lane-") as folder:
                self._trainer(folder).fit()
            broken = False
        except WorkerGroupError as error:
            if self._stands():
                self._blame(error.worker_failures)
        except Exception as error:
            if self._stands():
                lines = str(error).strip().splitlines() or [""]
                self._note(f"{self.name} ended: {type(error).__name__}: {lines[-1]}")
        if not self._lost:
            ended = ray.get(self.queue.release.remote(self.name))
            self.fruitless = broken and not ended

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

    def _trainer(self, folder: str) -> TorchTrainer:
        """The trainer. It keeps nothing: checkpoints are ours, and so is starting anew."""
        fleet, resources = self.fleet, {"CPU": self.fleet.num_cpus, "GPU": self.fleet.gpus}
        kind, talk = kind_of(fleet)
        return kind(
            worker_loop,
            train_loop_config={
                "lane": self.name,
                "queue": self.queue,
                "num_cpus": fleet.num_cpus,
                "num_gpus": fleet.gpus,
                "workers_per_run": fleet.workers_per_run,
                "checkpoint_every_s": fleet.checkpoint_every_s,
                "hang_after_s": fleet.hang_after_s,
            },
            torch_config=talk,
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


def kind_of(fleet: Fleet) -> tuple[type[TorchTrainer], Any]:
    """Return the trainer's class, and how its workers talk; Ray's own where it is not known."""
    backend = "nccl" if fleet.gpus >= 1 else "gloo"  # two ranks on one GPU cannot talk through NCCL
    if not is_known():
        return TorchTrainer, TorchConfig(backend)
    from runner.fleet._controller import LaneTorch
    from runner.fleet._trainer import LaneTrainer

    return LaneTrainer, LaneTorch(backend, fleet.workers_per_run > 1)


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
