"""Ray's trainer of one lane, without the helpers that a lane has no use for."""

from collections.abc import Mapping
from typing import Any

import ray
from ray._common.constants import RAY_WARN_BLOCKING_GET_INSIDE_ASYNC_ENV_VAR as WARNS
from ray.train.torch import TorchTrainer
from ray.train.v2._internal.callbacks.datasets import DatasetsCallback
from ray.train.v2._internal.callbacks.placement_group_callback import PlacementGroupCleanerCallback
from ray.train.v2._internal.constants import get_env_vars_to_propagate
from ray.train.v2._internal.execution.worker_group.worker import RayTrainWorker
from ray.train.v2._internal.util import bundle_to_remote_args
from ray.util.placement_group import PlacementGroup, placement_group, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from runner.cluster.connect import beside_driver
from runner.fleet._controller import LaneController, OnNodesThere, get_ready


class LaneTrainer(TorchTrainer):
    """TorchTrainer that starts no processes beside its controller and its workers.

    Ray's own would start three more: one that frees what a killed controller had reserved, by the
    dashboard, for which each trainer's end waits 12 seconds where there is none, as on a laptop;
    one that splits Ray Data's datasets, of which a lane has none; and one that asks the autoscaler
    for nodes, while a lane is on nodes that are there.

    And it would start them one after the other, each process twice, since it gives them an
    environment. Here the driver reserves the room and starts the workers, which import torch while
    the controller's process starts; however the lane ends, the driver frees what it reserved.
    """

    def _create_default_callbacks(self) -> list[Any]:
        made = super()._create_default_callbacks()
        unused = PlacementGroupCleanerCallback, DatasetsCallback
        return [one for one in made if not isinstance(one, unused)]

    def _initialize_and_run_controller(self, **given: Any) -> Any:
        scaling, environment = self.scaling_config, {WARNS: "0", **get_env_vars_to_propagate()}
        given["scaling_policy"] = OnNodesThere(scaling)
        asked: Any = scaling._resources_per_worker_not_none
        labels = scaling.label_selector
        assert isinstance(labels, list), "a lane names the node of each worker"
        room = placement_group([asked] * len(labels), bundle_label_selector=labels)
        try:
            actors = _workers(room, asked)
            for actor in actors:
                actor.execute.remote(get_ready, environment)
            made: Any = ray.remote(LaneController).options(**beside_driver())
            controller = made.remote(environment, room, actors, **given)
            ray.get(controller.run.remote())
            return ray.get(controller.get_result.remote())
        finally:
            if ray.is_initialized():  # else this would start a cluster
                remove_placement_group(room)  # and end the workers, if they are still there


def _workers(room: PlacementGroup, asked: Mapping[str, float]) -> list[Any]:
    """An actor in each part of the room, as Ray Train makes them, but for their environment."""
    made: Any = ray.remote(**bundle_to_remote_args({**asked}))(RayTrainWorker)
    places = [PlacementGroupSchedulingStrategy(room, i) for i in range(room.bundle_count)]
    return [made.options(scheduling_strategy=place).remote() for place in places]
