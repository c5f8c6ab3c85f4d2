"""A lane's controller: Ray Train's own, of workers that the driver has started already."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ray
import ray.exceptions
from ray.train.backend import Backend, BackendConfig
from ray.train.v2._internal.exceptions import WorkerGroupStartupFailedError
from ray.train.v2._internal.execution.controller import TrainController
from ray.train.v2._internal.execution.scaling_policy import FixedScalingPolicy
from ray.train.v2._internal.execution.worker_group import Worker, WorkerGroup, worker_group
from ray.train.v2._internal.execution.worker_group.placement_group_handle import (
    DefaultPlacementGroupHandle,
    PlacementGroupHandle,
)
from ray.util.placement_group import PlacementGroup

# Nothing here imports torch: the controller would wait for it, while the workers import it too.


class LaneController(TrainController):
    """Ray Train's controller, with what is given in place of what it would make itself.

    Args:
        environment: what Ray reads of it here; the workers have it too.
        room: what is reserved for the workers.
        actors: the workers, `RayTrainWorker` each.
        given: as of Ray's own.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        room: PlacementGroup,
        actors: Sequence[Any],
        **given: Any,
    ) -> None:
        os.environ.update(environment)
        self.worker_group_cls = type("Given", (GivenWorkers,), {"room": room, "actors": actors})
        # Else one more process imports all of Ray Train while everybody else does, too.
        worker_group.SynchronizationActor = NoBarrier(actors[0])  # pyright: ignore[reportPrivateImportUsage]
        super().__init__(**given)


class NoBarrier:
    """In place of the actor at which workers wait for each other to report; a lane's never do.

    What is made is a worker: like that actor, it is killed when the lane ends.
    """

    def __init__(self, worker: Any) -> None:
        self._worker = worker

    def options(self, **asked: Any) -> "NoBarrier":
        return self

    def remote(self, **given: Any) -> Any:
        return self._worker


class GivenWorkers(WorkerGroup):
    """Workers that somebody else has started, in room that he has reserved."""

    room: PlacementGroup
    actors: Sequence[Any]

    def _create_placement_group(
        self, scaling_config: Any, worker_group_context: Any
    ) -> PlacementGroupHandle:
        return DefaultPlacementGroupHandle(self.room)

    def _create_workers(
        self,
        num_workers: int,
        placement_group: PlacementGroup,
        resources_per_worker: dict[str, float],
        *given: Any,
        **named: Any,
    ) -> list[Worker]:
        try:
            there = ray.get([actor.get_metadata.remote() for actor in self.actors])
        except ray.exceptions.RayActorError as error:
            raise WorkerGroupStartupFailedError(f"a worker died as it started: {error}") from error
        workers = [
            Worker(actor, found, resources_per_worker, placement_group_bundle_index=i)
            for i, (actor, found) in enumerate(zip(self.actors, there, strict=True))
        ]
        return self._assign_worker_ranks(workers)


def get_ready(environment: Mapping[str, str]) -> None:
    """Import in a worker what it needs, while the controller's process is still starting.

    Nothing of it asks for CUDA: Ray Train says only later which GPUs the worker sees.
    """
    os.environ.update(environment)
    import runner.fleet.worker  # noqa: F401


class OnNodesThere(FixedScalingPolicy):
    """As many workers as are asked for, without a word to the autoscaler."""

    def _send_resource_request(self) -> None: ...

    def _maybe_send_resource_request(self) -> None: ...

    def _cancel_resource_request(self) -> None: ...


@dataclass
class LaneTorch(BackendConfig):
    """How workers find each other: by torch.distributed, or where each is alone, not at all."""

    backend: str  # gloo or nccl
    together: bool  # whether several workers train one Run

    @property
    def backend_cls(self) -> type[Backend]:
        return LaneBackend


class LaneBackend(Backend):
    """Ray's own for torch, as far as it is needed."""

    share_cuda_visible_devices = True  # NCCL wants to see all GPUs of the node

    def on_start(self, worker_group: Any, backend_config: Any) -> None:
        if backend_config.together:
            config = _rays_own(backend_config)
            config.backend_cls().on_start(worker_group, config)

    def on_shutdown(self, worker_group: Any, backend_config: Any) -> None:
        if backend_config.together:
            config = _rays_own(backend_config)
            config.backend_cls().on_shutdown(worker_group, config)


def _rays_own(config: LaneTorch) -> Any:
    from ray.train.torch import TorchConfig  # it imports torch

    return TorchConfig(config.backend)
