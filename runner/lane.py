"""A lane: one node's Ray Train workers, which do one Run after another until none is left."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import ray
import ray.train
import ray.train.torch
import torch
import torch.distributed as dist

from runner.fit import Group
from runner.train import work
from runner.workplace import make_workplace

FOR_EVER = timedelta(days=365)


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
    group, claims = _groups(rank, world, config["workers_per_run"])
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
    if device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        old = [run.id for run in runs.values() if run.training.precision == "bf16"]
        if old:
            raise ValueError(
                f"{torch.cuda.get_device_name(device)} has no bf16, which {old[0]} asks for; "
                "set training.precision: fp32"
            )
    claim = partial(_claim, call, worker, claims)
    work(claim, call, worker, runs, given["steps"], place)


def _groups(rank: int, world: int, size: int) -> tuple[Group, Group]:
    """This worker's group to train with, and the one that waits for the leader's next claim.

    Every rank creates every group, in order. No time is set: a dead peer ends the lane, and the
    others wait for their leader through all that it does alone.
    """
    if size == 1:
        return None, None
    mine: tuple[Any, Any] = (None, None)
    for first in range(0, world - size + 1, size):
        ranks = [*range(first, first + size)]
        made = dist.new_group(ranks, FOR_EVER), dist.new_group(ranks, FOR_EVER, "gloo")
        if rank in ranks:
            mine = made
    return mine


def _claim(call: Callable[..., Any], worker: str, claims: Group) -> str | None:
    """The next Run's id from the queue; a group's leader asks for all."""
    if claims is None:
        return call("claim", worker)
    leads = dist.get_rank(claims) == 0
    answer = [call("claim", worker) if leads else None]
    dist.broadcast_object_list(answer, src=dist.get_global_rank(claims, 0), group=claims)
    return answer[0]
