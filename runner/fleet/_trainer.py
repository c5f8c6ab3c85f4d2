"""Ray's trainer of one lane, without the helpers that a lane has no use for."""

from typing import Any

import ray
from ray._private.state import state as cluster_state
from ray.core.generated import gcs_pb2
from ray.train.torch import TorchTrainer
from ray.train.v2._internal.callbacks.datasets import DatasetsCallback
from ray.train.v2._internal.callbacks.placement_group_callback import PlacementGroupCleanerCallback
from ray.train.v2._internal.execution.scaling_policy import FixedScalingPolicy
from ray.util.placement_group import PlacementGroup, remove_placement_group


class LaneTrainer(TorchTrainer):
    """TorchTrainer that starts no processes beside its controller and its workers.

    Ray's own would start three more: one that frees what a killed controller had reserved, by the
    dashboard, for which each trainer's end waits 12 seconds where there is none, as on a laptop;
    one that splits Ray Data's datasets, of which a lane has none; and one that asks the autoscaler
    for nodes, while a lane is on nodes that are there.
    """

    def _create_default_callbacks(self) -> list[Any]:
        made = super()._create_default_callbacks()
        unused = PlacementGroupCleanerCallback, DatasetsCallback
        return [one for one in made if not isinstance(one, unused)]

    def _initialize_and_run_controller(self, **given: Any) -> Any:
        policy = OnNodesThere(self.scaling_config)
        return super()._initialize_and_run_controller(**{**given, "scaling_policy": policy})


class OnNodesThere(FixedScalingPolicy):
    """As many workers as are asked for, without a word to the autoscaler."""

    def _send_resource_request(self) -> None: ...

    def _maybe_send_resource_request(self) -> None: ...

    def _cancel_resource_request(self) -> None: ...


def free_reserved() -> None:
    """Remove what actors of this job that have died had reserved; Ray keeps it until the job ends.

    Lanes' controllers reserve by placement groups. One that ends in order removes its own.
    """
    job = ray.get_runtime_context().get_job_id()
    for listed in cluster_state._connect_and_get_accessor().get_placement_group_table():
        group = gcs_pb2.PlacementGroupTableData.FromString(listed)  # pyright: ignore[reportAttributeAccessIssue]
        of_actor = group.creator_actor_id.strip(b"\xff") and group.creator_job_id.hex() == job
        if of_actor and group.creator_actor_dead and group.state != group.REMOVED:
            remove_placement_group(PlacementGroup(ray.PlacementGroupID(group.placement_group_id)))
