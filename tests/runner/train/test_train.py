"""The steps of a Run and the loop of a worker, in this process and without Ray."""

import json
from pathlib import Path

import pytest
import torch

from runner.data import to_float
from runner.experiment.experiment import Experiment
from runner.plan.plan import Run
from runner.plan.work import Work, prepare
from runner.storage import store
from runner.storage.cloud import Folder
from runner.storage.store import Corrupt
from runner.train._best_epoch import accuracy_of

from runner.train.train import train  # isort: skip
from runner.train.workplace import Workplace
from tests.conftest import TINY, place_of
from tests.made.training import do


def files(folder: Folder) -> dict[str, bytes]:
    kept = {"model.safetensors", "run.json", "answers.parquet", "robustness.parquet"}
    found = [p for p in folder.rglob("*") if p.name in kept]
    return {f"{p.parent.name}/{p.name}": p.read_bytes() for p in found}


def test_a_worker_trains_asks_and_attacks_every_run(place: Workplace, work: Work):
    runs = work.plan.runs[:4]
    queue = do(runs, work.task(runs[0]).steps, place)
    assert queue.snapshot().done == 4
    assert all(work.is_done(run) for run in runs)
    facts = store.facts(work.store.run(runs[0].id))
    assert facts is not None
    assert facts["train_time_s"] > 0
    lines = (work.store.run(runs[0].id) / "epochs.jsonl").read_bytes().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [0, 1]
    assert list(work.store.run(runs[0].id).glob("events.out.tfevents.*"))


def test_doing_it_again_does_nothing(place: Workplace, work: Work):
    runs = work.plan.runs[:2]
    do(runs, work.task(runs[0]).steps, place)
    before = {p: p.stat().st_mtime_ns for p in work.store.root.rglob("*")}
    do(runs, work.task(runs[0]).steps, place)
    assert before == {p: p.stat().st_mtime_ns for p in work.store.root.rglob("*")}


def test_a_worker_stopped_at_any_epoch_leaves_a_run_that_ends_with_the_same_bits(
    place: Workplace, work: Work, tmp_path: Path
):
    run = work.plan.arms["pgd_at"][0]
    do([run], work.task(run).steps, place)

    class Stop(BaseException):
        """Not an Exception: nothing may catch it, as nothing catches SIGKILL."""

    def stop(word: str, part: float) -> None:
        if word.startswith("epoch 2"):
            raise Stop

    other = place._replace(store=store.Store(tmp_path / "other"))
    other.store.check_writable()
    with pytest.raises(Stop):
        train(run, other._replace(tell=stop))
    assert (other.store.run(run.id) / "checkpoint.pt").exists()
    assert store.facts(other.store.run(run.id)) is None
    do([run], work.task(run).steps, other)
    assert files(other.store.run(run.id)) == files(work.store.run(run.id))
    assert not (other.store.run(run.id) / "checkpoint.pt").exists()


def test_a_checkpoint_that_cannot_be_read_is_set_aside_and_named(place: Workplace, work: Work):
    run = work.plan.arms["erm"][0]
    path = work.store.run(run.id) / "checkpoint.pt"
    store.write(path, b"PK\x03\x04 truncated")
    queue = do([run], [train], place)
    assert "checkpoint.pt" in queue.snapshot().notes[0]
    assert path.with_name("checkpoint.pt.corrupt").exists()
    assert work.is_trained(run)


def test_a_run_that_raises_is_reported_and_the_next_one_is_done(place: Workplace, work: Work):
    from dataclasses import replace

    good = work.plan.arms["erm"][0]
    bad = replace(good, training=good.training.model_copy(update={"lr": 1e20}))
    queue = do([bad, good], [train], place)
    state = queue.snapshot()
    assert state.done == 1
    assert "lower training.lr" in state.failed[bad.id]
    assert not work.is_trained(bad)


def test_a_full_disk_stops_the_queue_with_the_reason(place: Workplace, work: Work):
    import errno

    def full(run: Run, place: Workplace) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    state = do(work.plan.runs[:3], [full], place).snapshot()
    assert len(state.failed) == 1
    assert "No space left" in state.stopped


def test_corrupt_weights_are_set_aside_and_trained_again_to_the_same_bits(
    place: Workplace, work: Work
):
    run = work.plan.arms["erm"][0]
    do([run], [train], place)
    weights = work.store.run(run.id) / "model.safetensors"
    good = weights.read_bytes()
    store.write(weights, good[:-1] + bytes([good[-1] ^ 1]))
    with pytest.raises(Corrupt, match="checksum"):
        place.trained(run)
    queue = do([run], work.task(run).steps, place)
    assert "corrupt-1" in queue.snapshot().notes[0]
    assert weights.read_bytes() == good


def test_two_arms_of_one_run_judge_its_last_and_its_best_epoch(tmp_path: Path):
    arms = {n: {"defense": "erm", "checkpoint": n} for n in ("last", "best")}
    selection = {"num_examples": 40, "attack": None}
    training = {"epochs": 4, "batch_size": 32, "lr": 1.5, "schedule": {"name": "constant"}}
    changed = {"arms": arms, "selection": selection, "training": {**training, "precision": "fp32"}}
    work = prepare(Experiment.model_validate({**TINY, **changed}), tmp_path)
    place, (run, *_) = place_of(work), work.plan.runs
    assert len(work.plan.runs) == 6
    assert run.selected_on is not None
    assert len(run.selected_on) == 40
    assert (work.plan.member[:, run.selected_on] == -1).all()
    do([run], work.task(run).steps, place)
    assert work.is_done(run)
    lines = [
        json.loads(line)
        for line in (work.store.run(run.id) / "epochs.jsonl").read_bytes().splitlines()
    ]
    seen = [line["selection_accuracy"] for line in lines]
    facts = store.facts(work.store.run(run.id))
    assert facts is not None
    assert facts["best_epoch"] == seen.index(max(seen))
    best, last = place.trained(run, "best"), place.trained(run)
    assert accuracy_of(run, place, best) == max(seen)
    assert accuracy_of(run, place, last) == seen[-1]
    images, labels = place.pool_images[run.selected_on], place.pool_labels[run.selected_on]
    with torch.no_grad():
        right = best(to_float(images)).argmax(1) == labels
    assert right.float().mean().item() == pytest.approx(max(seen))


def test_looking_at_every_epoch_moves_no_bit_of_the_last_weights(tmp_path: Path):
    """Held-out examples change who is a member, so the choice is on non-members here."""
    weights = {}
    for name, selection in {"off": None, "on": {"on": "non_members", "num_examples": 30}}.items():
        work = prepare(Experiment.model_validate({**TINY, "selection": selection}), tmp_path / name)
        run = work.plan.arms["pgd_at"][0]
        do([run], [train], place_of(work))
        weights[name] = (work.store.run(run.id) / "model.safetensors").read_bytes()
    assert weights["off"] == weights["on"]


def test_a_run_that_was_stopped_remembers_its_best_epoch(tmp_path: Path):
    chosen = {"on": "non_members", "num_examples": 50, "attack": None}
    training = {"epochs": 3, "batch_size": 32, "lr": 1.5, "precision": "fp32"}
    changed = {**TINY, "selection": chosen, "training": training}
    done = {}
    for name in ("whole", "stopped"):
        work = prepare(Experiment.model_validate(changed), tmp_path / name)
        run, place = work.plan.arms["erm"][0], place_of(work)

        class Stop(BaseException):
            """As SIGKILL: nothing catches it."""

        def stop(word: str, part: float, Stop: type[BaseException] = Stop) -> None:
            if word.startswith("epoch 3"):
                raise Stop

        if name == "stopped":
            with pytest.raises(Stop):
                train(run, place._replace(tell=stop))
        do([run], [train], place)
        done[name] = (work.store.run(run.id) / "best.safetensors").read_bytes()
    assert done["whole"] == done["stopped"]
