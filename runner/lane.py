"""A lane: one node's Ray Train workers, which do one Run after another until none is left."""

from collections.abc import Callable
from functools import partial
from typing import Any

import ray
import ray.train
import ray.train.torch
import torch
import torch.distributed as dist

from runner.train import work
from runner.workplace import make_workplace


def lane(config: dict[str, Any]) -> None:
    """The loop of one worker of a lane; Ray Train calls it with the lane's `train_loop_config`."""
    torch.set_num_threads(config["num_cpus"])
    context, queue = ray.train.get_context(), config["queue"]
    rank, world = context.get_world_rank(), context.get_world_size()
    device = ray.train.torch.get_device() if config["num_gpus"] else torch.device("cpu")
    assert isinstance(device, torch.device)
    if device.type == "cuda":
        torch.cuda.set_device(device)  # workers of one node see all of its GPUs
        torch.backends.cudnn.allow_tf32 = False  # fp32 means fp32, in training and in answers
    group, leader = _group(rank, world, config["workers_per_run"])
    given: dict[str, Any] = ray.get(queue.materials.remote())
    worker = f"{config['lane']}/{rank}"

    def call(method: str, *arguments: object) -> Any:
        return ray.get(getattr(queue, method).remote(*arguments))

    place = make_workplace(
        ray.get(given["dataset"]),
        device,
        given["store"],
        group=group,
        checkpoint_every_s=config["checkpoint_every_s"],
        tell=lambda text, part: queue.tell.remote(worker, text, part),
        note=lambda text: queue.note.remote(text),
    )
    runs = {run.id: run for run in ray.get(given["runs"])}
    if device.type == "cuda" and not torch.cuda.is_bf16_supported():
        old = [run.id for run in runs.values() if run.training.precision == "bf16"]
        if old:
            raise ValueError(
                f"{torch.cuda.get_device_name(device)} has no bf16, which {old[0]} asks for; "
                "set training.precision: fp32, or another fleet.accelerator"
            )
    claim = partial(_claim, call, worker, group, leader)
    work(claim, call, worker, runs, given["steps"], place)


def _group(rank: int, world: int, size: int) -> tuple[dist.ProcessGroup | None, int]:
    """This worker's sub-group and its first rank; every rank creates every group, in order."""
    if size == 1:
        return None, rank
    groups = [dist.new_group([*range(k, k + size)]) for k in range(0, world - size + 1, size)]
    mine = groups[rank // size]
    assert isinstance(mine, dist.ProcessGroup)  # new_group answers with a number to outsiders
    return mine, rank // size * size


def _claim(
    call: Callable[..., Any], worker: str, group: dist.ProcessGroup | None, leader: int
) -> str | None:
    """The next Run's id from the queue; a group's leader asks for all."""
    if group is None:
        return call("claim", worker)
    answer = [call("claim", worker) if dist.get_rank() == leader else None]
    dist.broadcast_object_list(answer, src=leader, group=group)
    return answer[0]
