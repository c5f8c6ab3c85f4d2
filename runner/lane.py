"""A lane: one node's Ray Train workers, which do one Run after another until none is left."""

import faulthandler
import time
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
from runner.plan import Run
from runner.queue import Task
from runner.train import work
from runner.workplace import make_workplace

FOR_EVER = timedelta(days=365)
WAIT_S = 0.5  # until an idle worker asks again


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
        # Whoever says nothing for so long hangs: the stack goes to the log, and the process ends.
        faulthandler.dump_traceback_later(config["hang_after_s"], exit=True)
        return ray.get(getattr(queue, method).remote(*arguments))

    place = make_workplace(
        ray.get(given["dataset"]),
        device,
        given["store"],
        group=group,
        checkpoint_every_s=config["checkpoint_every_s"],
        tell=partial(call, "tell", worker),
        note=partial(call, "note"),
    )
    claim = partial(next_task, call, worker, claims, partial(refusal, device=device))
    work(claim, call, worker, place)
    faulthandler.cancel_dump_traceback_later()


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


def next_task(
    call: Callable[..., Any], worker: str, claims: Group, refuse: Callable[[Run], str]
) -> Task | None:
    """Return the next task from the queue once there is one, or None when none will ever be.

    A group's leader asks for all.
    """
    while True:
        leads = claims is None or dist.get_rank(claims) == 0
        answer = [_claim(call, worker, refuse) if leads else None]
        if claims is not None:
            source = dist.get_global_rank(claims, 0)
            dist.broadcast_object_list(answer, src=source, group=claims)
        if answer[0] != "wait":
            return answer[0]
        time.sleep(WAIT_S)


def _claim(call: Callable[..., Any], worker: str, refuse: Callable[[Run], str]) -> Any:
    """The queue's answer; a task that cannot be done here fails, and the lane goes on."""
    while isinstance(task := call("claim", worker), Task) and (reason := refuse(task.run)):
        call("fail", worker, reason)
    return task


def refusal(run: Run, device: torch.device) -> str:
    """Return why a Run cannot be trained on a device, or nothing."""
    if run.training.precision != "bf16" or device.type != "cuda":
        return ""
    if torch.cuda.is_bf16_supported(including_emulation=False):
        return ""
    name = torch.cuda.get_device_name(device)
    return f"{name} has no bf16, which this Run asks for; set training.precision: fp32"
