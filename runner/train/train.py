"""Train one Run, from its last checkpoint on where there is one, and write what lasts."""

import contextlib
import io
import json
import math
import pickle
import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from runner.experiment.questions import Checkpoint
from runner.plan.plan import Run
from runner.storage import store
from runner.storage.answers import trace_to_bytes
from runner.storage.store import Corrupt
from runner.train._best_epoch import Best, accuracy_of, better
from runner.train._loss_trace import by_example, losses_of
from runner.train._tensorboard import open_curves
from runner.train.fit import Epoch, fit
from runner.train.weights import weights_to_bytes
from runner.train.workplace import Workplace, device_name, weights_file

CHECKPOINT = "checkpoint.pt"  # there while the Run is trained
EPOCHS, RECIPE = "epochs.jsonl", "run.json"


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
    run.check_code()
    state = _checkpoint(run, place)
    history = state.pop("history") if state else []
    started -= sum(line["time_s"] for line in history)  # as if no time had passed in between
    best = Best(**state.pop("best")) if state and "best" in state else None
    trace = [*state.pop("loss_trace")] if state and "loss_trace" in state else []
    saved = time.monotonic()
    with contextlib.ExitStack() as opened:
        curves = opened.enter_context(open_curves(folder, len(history))) if place.leads else None
        epoch = None
        for epoch in fit(
            run, place.pool_images, place.pool_labels, place.shape, place.group, state
        ):
            if curves is None:
                continue
            metrics = dict(epoch.metrics)
            if run.selection is not None:
                metrics["selection_accuracy"] = accuracy_of(run, place, epoch.model)
                best = better(best, epoch, metrics["selection_accuracy"])
            if run.training.loss_trace:
                trace.append(losses_of(run, place, epoch.model))
            before = run.defense.warning(history)
            history.append({"epoch": epoch.number, **metrics})
            if (wrong := run.defense.warning(history)) and not before:
                place.note(f"{run.id}: {wrong}")
            curves.add(metrics, epoch.number)
            loss = epoch.metrics.get("loss_total", math.nan)  # no example was drawn all epoch
            ended, epochs = epoch.number + 1, run.training.epochs
            leave = place.tell(f"epoch {ended}/{epochs} loss {loss:.3f}", 0.9 * ended / epochs)
            if ended == epochs:  # what follows writes the model itself
                continue
            if leave or time.monotonic() - saved >= place.checkpoint_every_s:
                kept: dict[str, Any] = {"best": best.state()} if best else {}
                kept |= {"loss_trace": torch.stack(trace)} if trace else {}
                state = {**epoch.state(), "history": history, **kept}
                store.write_sealed(folder / CHECKPOINT, _to_bytes(state))
                curves.keep()
                saved = time.monotonic()
            if leave:
                raise Left
        if curves is not None:
            curves.keep()
    if place.leads:
        assert epoch is not None, "the last epoch is never checkpointed"
        _finish(run, place, epoch, best, trace, history, started)


def _finish(
    run: Run,
    place: Workplace,
    epoch: Epoch,
    best: Best | None,
    trace: list[torch.Tensor],
    history: Sequence[Mapping[str, float]],
    started: float,
) -> None:
    """Write what lasts, mark it done, and drop the checkpoint."""
    folder = place.store.run(run.id)
    kept: dict[Checkpoint, dict[str, Any]] = {"last": epoch.model.state_dict()}
    if best:
        kept["best"] = best.weights
    for checkpoint, state in kept.items():
        store.write(folder / weights_file(checkpoint), weights_to_bytes(state, place.shape))
    lines = "".join(json.dumps(line) + "\n" for line in history)
    store.write(folder / EPOCHS, lines.encode())
    store.write_json(folder / RECIPE, run.recipe())
    files = [*map(weights_file, kept), EPOCHS, RECIPE]
    if trace:
        content = trace_to_bytes(place.pool_labels.cpu().numpy(), by_example(trace))
        store.write(folder / store.LOSS_TRACE, content)
        files.append(store.LOSS_TRACE)
    times = [line["time_s"] for line in history]
    facts: dict[str, Any] = {
        "train_time_s": sum(times),
        "epoch_time_s": epoch_time(times, run.defense.phases(len(times))),
        "other_time_s": time.perf_counter() - started - sum(times),
        "device": device_name(place.device),
    }
    if wrong := run.defense.warning(history):
        facts["warning"] = wrong
    if best:
        facts |= {"best_epoch": best.epoch, "selection_accuracy": best.accuracy}
    store.finish(folder, files, facts)
    (folder / CHECKPOINT).unlink(missing_ok=True)


def epoch_time(times: Sequence[float], phases: Sequence[int]) -> float:
    """Return the seconds that stand for each epoch: its phase's last; first steps are slower."""
    if len(phases) == 1:
        return times[-1]
    last = [times[sum(phases[: k + 1]) - 1] for k in range(len(phases))]
    return sum(time_s * length for time_s, length in zip(last, phases, strict=True)) / len(times)


def _checkpoint(run: Run, place: Workplace) -> dict[str, Any] | None:
    """The last checkpoint; one that is damaged is named and renamed, and training restarts."""
    path = place.store.run(run.id) / CHECKPOINT
    try:
        content = io.BytesIO(store.read_sealed(path))
        return torch.load(content, map_location=place.device, weights_only=True)
    except FileNotFoundError:
        return None
    except (Corrupt, pickle.UnpicklingError) as error:  # the latter: more than tensors is in it
        if place.leads:
            store.move(path, path.with_name(f"{CHECKPOINT}.corrupt"))
            reason = error if isinstance(error, Corrupt) else f"{path}: {first_line(error)}"
            place.note(f"{reason}; set aside as {CHECKPOINT}.corrupt, training starts over")
        return None


def first_line(error: Exception) -> str:
    """Return what an error says in one line."""
    return (str(error).splitlines() or [""])[0]


def _to_bytes(state: object) -> bytes:
    """What `torch.load(..., weights_only=True)` reads."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()
