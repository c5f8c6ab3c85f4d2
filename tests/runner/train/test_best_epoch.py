"""The best epoch is kept beside the last one and moves no bit of it."""

import json
from pathlib import Path

import pytest
import torch

from runner.data import to_float
from runner.experiment.experiment import Experiment
from runner.pipeline import task_of
from runner.plan.work import prepare
from runner.storage import store
from runner.train._best_epoch import accuracy_of

from runner.train.train import train  # isort: skip
from tests.conftest import TINY, place_of
from tests.made.training import do


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
    do([run], task_of(work, run).steps, place)
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
