"""Train one Run, and the loop of a worker, who does one Run after another."""

import errno
import io
import json
import pickle
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from runner import store
from runner.fit import Epoch, fit
from runner.plan import Run
from runner.queue import WAIT
from runner.store import Corrupt
from runner.workplace import Workplace, to_bytes

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
    for epoch in fit(run, place.pool_images, place.pool_labels, place.shape, place.group, state):
        if board is None:
            continue
        history.append({"epoch": epoch.number, **epoch.metrics})
        for name, value in epoch.metrics.items():
            board.add_scalar(name, value, epoch.number)
        loss = epoch.metrics["loss_total"]
        ended, epochs = epoch.number + 1, run.training.epochs
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
    """The last checkpoint; one that cannot be read is named and renamed, and training restarts."""
    path = place.store.run(run.id) / "checkpoint.pt"
    try:
        content = io.BytesIO(path.read_bytes())
        state = torch.load(content, map_location=place.device, weights_only=True)
        return {key: state[key] for key in ("epoch", "model", "optimizer", "history")}
    except FileNotFoundError:
        return None
    except (
        RuntimeError,
        EOFError,
        KeyError,
        TypeError,
        ValueError,
        pickle.UnpicklingError,
    ) as error:
        if place.leads:
            path.replace(path.with_name("checkpoint.pt.corrupt"))
            place.note(
                f"{path}: not readable ({_first_line(error)}); set aside, training starts over"
            )
        return None


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


def _reason(error: Exception) -> str:
    """One line for people, and where it happened."""
    frames = traceback.extract_tb(error.__traceback__)
    at = f" (at {frames[-1].filename.rsplit('/', 1)[-1]}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {_first_line(error)}{at}"


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0]
