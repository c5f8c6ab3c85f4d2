"""One worker of a lane: a process of Ray Train that does one Run after another."""

import contextlib
import faulthandler
import math
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

from attacks import origin
from runner.fleet.queue import Task
from runner.plan.plan import Run
from runner.storage import store
from runner.storage.store import Corrupt
from runner.train.fit import Group
from runner.train.train import Left
from runner.train.workplace import Workplace, make_workplace

FOR_EVER = timedelta(days=365)
WAIT_S = 0.5  # until an idle worker asks again
SOON_S = 0.2  # until the next word of a kind


def worker_loop(config: dict[str, Any]) -> None:
    """Do Runs until none is left; Ray Train calls it with the lane's `train_loop_config`."""
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
        tell=sparing(partial(call, "tell", worker)),
        note=partial(call, "note"),
    )
    claim = partial(next_task, call, worker, claims, partial(refusal, device=device))
    work(claim, call, worker, place)
    faulthandler.cancel_dump_traceback_later()


def sparing(tell: Callable[[str, float], Any]) -> Callable[[str, float], Any]:
    """Return a `tell` that leaves out a word which follows one of its kind within SOON_S.

    A word takes some milliseconds to the queue and back, as long as a small network's epoch, and
    nobody looks so often. Its kind is its first part, as of "epoch 3/20". What is left out is
    answered as the last one was.
    """
    kind, at, answer = "", -math.inf, None

    def within(word: str, part: float) -> Any:
        nonlocal kind, at, answer
        if word.partition(" ")[0] != kind or time.monotonic() - at >= SOON_S:
            answer = tell(word, part)
            kind, at = word.partition(" ")[0], time.monotonic()
        return answer

    return within


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


def work(
    claim: Callable[[], Task | None], call: Callable[..., Any], worker: str, place: Workplace
) -> None:
    """Do tasks until none is left. A Run that fails is reported, and the next one begins.

    The workers of a group train together; what follows is the leader's, and the others already
    wait for its next claim.

    Args:
        claim: returns the next task, the same to every worker of a group, or None.
        call: calls a method of the queue by name.
    """
    while (task := claim()) is not None:
        try:
            for step in task.steps:
                step(task.run, place)
        except Corrupt as corrupt:
            if place.leads:
                aside = store.set_aside(corrupt.path)
                note = f"{corrupt}; set aside{f' as {aside.name}' if aside else ''}, made again"
                call("repair", worker, note)
        except Left:
            continue  # what it held goes back with the next claim, which is the last
        except (Exception, SystemExit) as error:
            if origin.leaves(error):
                raise
            waits = partial(place.tell, "waits for the storage", 0.0)
            if place.leads and store.may_pass(error) and place.store.comes_back(waits):
                call("repair", worker, f"{task.run.id}: the storage was away; {origin.told(error)}")
            elif place.leads:
                reason = f"{origin.told(error)}{_kept(error, place, task.run)}"
                call("fail", worker, reason, isinstance(error, OSError))
            # Others of the group may wait for us in a collective, unless they failed alike.
            alike = place.group is None or isinstance(error, FloatingPointError)
            if not alike or not _sound(place.device):
                raise
        else:
            if place.leads:
                with contextlib.suppress(OSError):
                    (place.store.run(task.run.id) / store.TRACEBACK).unlink(missing_ok=True)
                call("finish", worker)


def _sound(device: torch.device) -> bool:
    """Whether the device still works: after some errors CUDA fails until its process ends."""
    if device.type != "cuda":
        return True
    try:
        torch.cuda.synchronize(device)
        torch.cuda.empty_cache()
    except RuntimeError:
        return False
    return True


def _kept(error: BaseException, place: Workplace, run: Run) -> str:
    """Where the whole traceback was written, in words; "" where it could not be."""
    told = store.keep_traceback(place.store.run(run.id), origin.trace(error))
    return f"; {told}" if told else ""
