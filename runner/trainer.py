"""Ray's trainer of one lane, without the helper of it that needs a dashboard."""

from typing import Any

import ray
from ray._private.state import state as cluster_state
from ray.core.generated import gcs_pb2
from ray.train.torch import TorchTrainer
from ray.train.v2._internal.callbacks.placement_group_callback import PlacementGroupCleanerCallback
from ray.util.placement_group import PlacementGroup, remove_placement_group


class LaneTrainer(TorchTrainer):
    """TorchTrainer that leaves it to the lane to free what a killed controller had reserved.

    Ray does that by an actor which asks the dashboard. Where there is none, as on a laptop, the
    actor frees nothing, and each trainer's end waits 12 seconds for it.
    """

    def _create_default_callbacks(self) -> list[Any]:
        made = super()._create_default_callbacks()
        return [one for one in made if not isinstance(one, PlacementGroupCleanerCallback)]


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
