"""Train one Run, and the loop of a lane's workers, who do one Run after another."""

import errno
import io
import json
import pickle
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import ray
import ray.train
import ray.train.torch
import safetensors.torch
import torch
import torch.distributed as dist

from runner import store
from runner.fit import Epoch, fit
from runner.plan import Run
from runner.queue import WAIT
from runner.store import Corrupt
from runner.workplace import Workplace, make_workplace, to_bytes

Step = Callable[[Run, Workplace], None]  # does nothing when its folder is done


def train(run: Run, place: Workplace) -> None:
    """Train a Run from its last epoch checkpoint, or from the start, and mark it done."""
    from torch.utils.tensorboard import SummaryWriter  # takes a second, and only trainers need it

    folder = place.store.run(run.id)
    if store.facts(folder) is not None:
        return
    state = _checkpoint(run, place)
    history = state.pop("history") if state else []
    saved = time.monotonic()
    board = SummaryWriter(str(folder), purge_step=len(history)) if place.leads else None
    epoch = None
    for epoch in fit(
        run, place.pool_images, place.pool_labels, place.shape, place.group, state
    ):
        if board is None:
            continue
        history.append({"epoch": epoch.index, **epoch.metrics})
        for name, value in epoch.metrics.items():
            board.add_scalar(name, value, epoch.index)
        loss = epoch.metrics["loss_total"]
        ended, epochs = epoch.index + 1, run.training.epochs
        place.tell(f"epoch {ended}/{epochs} loss {loss:.3f}", 0.9 * ended / epochs)
        last = ended == epochs  # what follows writes the model itself
        if not last and time.monotonic() - saved >= place.checkpoint_every_s:
            store.write(folder / "checkpoint.pt", to_bytes({**epoch.state(), "history": history}))
            saved = time.monotonic()
    if board is not None:
        board.close()
        assert epoch is not None, "the last epoch is never checkpointed"
        _finish(run, place, epoch, history)


def _finish(
    run: Run, place: Workplace, epoch: Epoch, history: Sequence[Mapping[str, float]]
) -> None:
    """Write what lasts, mark it done, and drop the checkpoint."""
    folder = place.store.run(run.id)
    weights = {name: t.contiguous().cpu() for name, t in epoch.model.state_dict().items()}
    store.write(folder / "model.safetensors", safetensors.torch.save(weights))
    lines = "".join(json.dumps(line) + "\n" for line in history)
    store.write(folder / "epochs.jsonl", lines.encode())
    store.write_json(folder / "run.json", run.recipe())
    facts = {"train_time_s": sum(line["time_s"] for line in history)}
    store.finish(folder, ["model.safetensors", "epochs.jsonl", "run.json"], facts)
    (folder / "checkpoint.pt").unlink(missing_ok=True)


def _checkpoint(run: Run, place: Workplace) -> dict[str, Any] | None:
    """The last checkpoint; one that cannot be read is named and renamed, and training starts over."""
    path = place.store.run(run.id) / "checkpoint.pt"
    try:
        content = io.BytesIO(path.read_bytes())
        state = torch.load(content, map_location=place.device, weights_only=True)
        return {key: state[key] for key in ("epoch", "model", "optimizer", "history")}
    except FileNotFoundError:
        return None
    except (RuntimeError, EOFError, KeyError, TypeError, ValueError, pickle.UnpicklingError) as error:
        if place.leads:
            path.replace(path.with_name("checkpoint.pt.corrupt"))
            place.note(f"{path}: not readable ({_first_line(error)}); set aside, training starts over")
        return None


def lane(config: dict[str, Any]) -> None:
    """The loop of one worker of a lane; Ray Train calls it with the lane's `train_loop_config`."""
    torch.set_num_threads(config["num_cpus"])
    context, queue = ray.train.get_context(), config["queue"]
    rank, world = context.get_world_rank(), context.get_world_size()
    group, leader = _group(rank, world, config["workers_per_run"])
    device = ray.train.torch.get_device() if config["num_gpus"] else torch.device("cpu")
    assert isinstance(device, torch.device)
    given = ray.get(queue.materials.remote())
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


def work(
    claim: Callable[[], str | None],
    call: Callable[..., Any],
    worker: str,
    runs: Mapping[str, Run],
    steps: Sequence[Step],
    place: Workplace,
) -> None:
    """Do Runs until none is left. A Run that fails is reported, and the next one begins."""
    while (run_id := claim()) is not None:
        if run_id == WAIT:
            time.sleep(0.5)
            continue
        try:
            _do(runs[run_id], steps, place)
        except Exception as error:
            full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
            if place.leads:
                call("fail", worker, run_id, _reason(error), full)
            if place.group is not None:
                raise  # the others of this Run wait for us in a collective: the lane starts anew
        else:
            if place.leads:
                call("finish", worker, run_id)


def _do(run: Run, steps: Sequence[Step], place: Workplace) -> None:
    """All steps of one Run; what turns out corrupt is set aside and made again, once."""
    for last_try in (False, True):
        try:
            for step in steps:
                step(run, place)
            return
        except Corrupt as corrupt:
            if last_try:
                raise
            aside = store.set_aside(Path(corrupt.path))
            place.note(f"{corrupt}; set aside as {aside.name}, made again")


def _group(rank: int, world: int, size: int) -> tuple[dist.ProcessGroup | None, int]:
    """This worker's sub-group and its first rank; every rank creates every group, in order."""
    if size == 1:
        return None, rank
    groups = [dist.new_group([*range(k, k + size)]) for k in range(0, world - size + 1, size)]
    return groups[rank // size], rank // size * size


def _claim(
    call: Callable[..., Any], worker: str, group: dist.ProcessGroup | None, leader: int
) -> str | None:
    """The next Run's id from the queue; a group's leader asks for all."""
    if group is None:
        return call("claim", worker)
    answer = [call("claim", worker) if dist.get_rank() == leader else None]
    dist.broadcast_object_list(answer, src=leader, group=group)
    return answer[0]


def _reason(error: Exception) -> str:
    """One line for people, and where it happened."""
    frames = traceback.extract_tb(error.__traceback__)
    at = f" (at {frames[-1].filename.rsplit('/', 1)[-1]}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {_first_line(error)}{at}"


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0]
