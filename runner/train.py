"""Train one Run, and the loop of a worker, who does one Run after another."""

import contextlib
import io
import json
import math
import pickle
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import safetensors.torch
import torch

from runner import store
from runner.board import opened as open_board
from runner.fit import Epoch, fit
from runner.plan import Run
from runner.questions import Checkpoint
from runner.queue import Task
from runner.selection import Best, accuracy_of, better
from runner.store import Corrupt
from runner.workplace import Workplace, device_name, weights_file


class Left(Exception):
    """A Run was left at a checkpoint, since nobody waits for it any more."""


def train(run: Run, place: Workplace) -> None:
    """Train a Run from its last epoch checkpoint, or from the start, and mark it done.

    Raises:
        Left: there is a checkpoint, and it is not done.
    """
    started = time.perf_counter()
    folder = place.store.run(run.id)
    if store.facts(folder) is not None:
        return
    state = _checkpoint(run, place)
    history = state.pop("history") if state else []
    started -= sum(line["time_s"] for line in history)  # as if no time had passed in between
    best = Best(**state.pop("best")) if state and "best" in state else None
    saved = time.monotonic()
    with contextlib.ExitStack() as opened:
        board = opened.enter_context(open_board(folder, len(history))) if place.leads else None
        epoch = None
        for epoch in fit(
            run, place.pool_images, place.pool_labels, place.shape, place.group, state
        ):
            if board is None:
                continue
            metrics = dict(epoch.metrics)
            if run.selection is not None:
                metrics["selection_accuracy"] = accuracy_of(run, place, epoch.model)
                best = better(best, epoch, metrics["selection_accuracy"])
            history.append({"epoch": epoch.number, **metrics})
            board.add(metrics, epoch.number)
            loss = epoch.metrics.get("loss_total", math.nan)  # no example was drawn all epoch
            ended, epochs = epoch.number + 1, run.training.epochs
            leave = place.tell(f"epoch {ended}/{epochs} loss {loss:.3f}", 0.9 * ended / epochs)
            if ended == epochs:  # what follows writes the model itself
                continue
            if leave or time.monotonic() - saved >= place.checkpoint_every_s:
                kept = {"best": best.state()} if best else {}
                state = {**epoch.state(), "history": history, **kept}
                store.write_sealed(folder / "checkpoint.pt", _to_bytes(state))
                board.keep()
                saved = time.monotonic()
            if leave:
                raise Left
        if board is not None:
            board.keep()
    if place.leads:
        assert epoch is not None, "the last epoch is never checkpointed"
        _finish(run, place, epoch, best, history, started)


def _finish(
    run: Run,
    place: Workplace,
    epoch: Epoch,
    best: Best | None,
    history: Sequence[Mapping[str, float]],
    started: float,
) -> None:
    """Write what lasts, mark it done, and drop the checkpoint."""
    folder = place.store.run(run.id)
    kept: dict[Checkpoint, dict[str, Any]] = {"last": epoch.model.state_dict()}
    if best:
        kept["best"] = best.weights
    for checkpoint, state in kept.items():
        weights = {name: t.contiguous().cpu() for name, t in state.items()}
        store.write(folder / weights_file(checkpoint), safetensors.torch.save(weights))
    lines = "".join(json.dumps(line) + "\n" for line in history)
    store.write(folder / "epochs.jsonl", lines.encode())
    store.write_json(folder / "run.json", run.recipe())
    times = [line["time_s"] for line in history]
    facts: dict[str, Any] = {
        "train_time_s": sum(times),
        "epoch_time_s": times[-1],
        "other_time_s": time.perf_counter() - started - sum(times),
        "device": device_name(place.device),
    }
    if best:
        facts |= {"best_epoch": best.epoch, "selection_accuracy": best.accuracy}
    files = [weights_file(checkpoint) for checkpoint in kept]
    store.finish(folder, [*files, "epochs.jsonl", "run.json"], facts)
    (folder / "checkpoint.pt").unlink(missing_ok=True)


def _checkpoint(run: Run, place: Workplace) -> dict[str, Any] | None:
    """The last checkpoint; one that is damaged is named and renamed, and training restarts."""
    path = place.store.run(run.id) / "checkpoint.pt"
    try:
        content = io.BytesIO(store.read_sealed(path))
        return torch.load(content, map_location=place.device, weights_only=True)
    except FileNotFoundError:
        return None
    except (Corrupt, pickle.UnpicklingError) as error:  # the latter: more than tensors is in it
        if place.leads:
            store.move(path, path.with_name("checkpoint.pt.corrupt"))
            reason = error if isinstance(error, Corrupt) else f"{path}: {_first_line(error)}"
            place.note(f"{reason}; set aside as checkpoint.pt.corrupt, training starts over")
        return None


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
        except Exception as error:
            waits = partial(place.tell, "waits for the storage", 0.0)
            if place.leads and store.may_pass(error) and place.store.comes_back(waits):
                call("repair", worker, f"{task.run.id}: the storage was away; {_reason(error)}")
            elif place.leads:
                call("fail", worker, _reason(error), isinstance(error, OSError))
            # Others of the group may wait for us in a collective, unless they failed alike.
            alike = place.group is None or isinstance(error, FloatingPointError)
            if not alike or not _sound(place.device):
                raise
        else:
            if place.leads:
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


def _reason(error: Exception) -> str:
    """One line for people, and where it happened."""
    frames = traceback.extract_tb(error.__traceback__)
    at = f" (at {frames[-1].filename.rsplit('/', 1)[-1]}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {_first_line(error)}{at}"


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0]


def _to_bytes(state: object) -> bytes:
    """What `torch.load(..., weights_only=True)` reads."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()
