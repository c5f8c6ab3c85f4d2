"""Losses kept while training: of which model, that they move nothing, and through to the scores."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from attacks.membership.loss_trace import LossTrace
from runner.data import to_float
from runner.experiment.experiment import Experiment
from runner.forecast.disk import disk_bytes
from runner.forecast.forecast import forecast
from runner.pipeline import task_of
from runner.plan.work import Work, prepare
from runner.storage import store
from runner.storage.answers import Source, read_answers, read_block
from runner.storage.scores import Reading, read_scores

from runner.train.train import train  # isort: skip
from tests.conftest import NOISY, TINY, do_here, place_of
from tests.made.experiments import refused
from tests.made.training import do

KEPT = {"epochs": 2, "batch_size": 64, "precision": "fp32", "loss_trace": True}
ARMS = {
    "erm": {"defense": "erm"},
    "dp_sgd": {"defense": {"name": "dp_sgd", "noise_multiplier": 1.0}},
    "noisy": {
        "defense": {"name": "residual_perturbation", "gamma": 0.5},
        "model": {"name": "resnet8", "width": 4, "norm": "group"},
    },
}


def made(folder: Path, **changes: Any) -> Work:
    """An experiment that keeps losses."""
    network = {"name": "small_cnn", "width": 4, "norm": "group"}
    shared = {"training": KEPT, "model": network, "robustness": {}, "answers": {"draws": 2}}
    return prepare(Experiment.model_validate({**TINY, **shared, **changes}), folder)


def trace_of(work: Work, arm: str) -> np.ndarray:
    """The trace of an arm's first Run, read as the audit reads it."""
    return read_answers(work.sources[Source(arm, 1)][0], "loss_trace")


@pytest.mark.parametrize("arm", ["erm", "dp_sgd", "noisy"])
def test_losses_are_of_the_plain_images_in_eval_mode_and_keeping_them_moves_no_weight(
    arm: str, tmp_path: Path
):
    weights = {}
    for name, training in {"on": KEPT, "off": {**KEPT, "loss_trace": False}}.items():
        work = made(tmp_path / name, arms={arm: ARMS[arm]}, training=training)
        run, place = work.plan.runs[0], place_of(work)
        do([run], [train], place)
        weights[name] = (work.store.run(run.id) / "model.safetensors").read_bytes()
        if name == "off":
            assert not (work.store.run(run.id) / store.LOSS_TRACE).exists()
            continue
        trace, model = trace_of(work, arm), place.trained(run)
        assert trace.shape == (200, 2)
        assert trace.dtype == np.float32
        if arm != "noisy":
            with torch.no_grad():
                logits = model(to_float(place.pool_images)).double()
            expected = F.cross_entropy(logits, place.pool_labels, reduction="none")
            np.testing.assert_allclose(trace[:, -1], expected, 1e-4, 1e-5)
        block = read_block(work.sources[Source(arm, 1)][0], 0, "loss_trace")
        np.testing.assert_array_equal(block.answers, trace)
        np.testing.assert_array_equal(block.label, work.labels)
    assert weights["on"] == weights["off"]


def test_a_run_that_was_stopped_keeps_the_losses_of_the_epochs_before(tmp_path: Path):
    class Stop(BaseException):
        """As SIGKILL: nothing catches it."""

    def stop(word: str, part: float) -> None:
        if word.startswith("epoch 2"):
            raise Stop

    found = []
    for name in ("whole", "stopped"):
        work = made(tmp_path / name, arms={"noisy": ARMS["noisy"]})
        run, place = work.plan.runs[0], place_of(work)
        if name == "stopped":
            with pytest.raises(Stop):
                train(run, place._replace(tell=stop))
        do([run], [train], place)
        found.append((work.store.run(run.id) / store.LOSS_TRACE).read_bytes())
    assert found[0] == found[1]


def test_a_run_without_losses_has_the_id_that_it_had_and_one_with_them_another(work: Work):
    run = work.plan.runs[0]
    assert "loss_trace" not in run.recipe()["training"]
    keeping = {**TINY, "training": {**TINY["training"], "loss_trace": True}}
    other = prepare(Experiment.model_validate(keeping), work.store.root).plan.runs[0]
    assert other.recipe()["training"]["loss_trace"] is True
    assert other.id != run.id
    off = {**TINY, "training": {**TINY["training"], "loss_trace": False}}
    assert prepare(Experiment.model_validate(off), work.store.root).plan.runs[0].id == run.id


def test_scores_are_those_of_the_losses_of_both_readings_of_a_randomized_arm(tmp_path: Path):
    attacks = {"watched": {"name": "loss_trace"}, "usual": {"name": "loss_trace"}}
    attacks["usual"]["calibrate"] = "out"
    work = made(tmp_path, arms={"noisy": ARMS["noisy"]}, membership={"attacks": attacks})
    assert disk_bytes(work) > 6 * 200 * 2 * 4
    said = "loss traces: noisy: 200 examples are asked after each of 2 epochs, "
    assert said + "0.00 million answers and 0.0 MB a model" in forecast(work)
    do_here(work)
    expected = LossTrace().signal(trace_of(work, "noisy"), None)[:, 0]  # pyright: ignore
    for draws in (1, 2):
        found = read_scores(work.scores, Reading("noisy", draws, "watched", "member"), 0)
        np.testing.assert_array_equal(found, expected.astype(np.float32))


def test_a_trace_that_is_damaged_is_made_again_with_its_training(tmp_path: Path):
    work = made(tmp_path, arms={"erm": ARMS["erm"]})
    run, place = work.plan.runs[0], place_of(work)
    do([run], task_of(work, run).steps, place)
    path = work.store.run(run.id) / store.LOSS_TRACE
    good = path.read_bytes()
    store.write(path, good[:300])
    with pytest.raises(store.Corrupt) as damaged:
        trace_of(work, "erm")
    assert store.set_aside(damaged.value.path) == path.parent.with_name(f"{run.id}.corrupt-1")
    do([run], task_of(work, run).steps, place)
    assert path.read_bytes() == good


def test_the_attack_is_refused_where_an_arm_keeps_no_losses():
    attacks = {"attacks": {"watched": {"name": "loss_trace"}}}
    why = refused(membership=attacks)["membership.attacks.watched"]
    assert "that of erm, pgd_at keeps none; add `training.loss_trace: true`" in why
    one = {**TINY["arms"], "erm": {"defense": "erm", "training": {"loss_trace": True}}}
    assert "that of pgd_at" in refused(membership=attacks, arms=one)["membership.attacks.watched"]
    views = {"attacks": {"watched": {"name": "loss_trace", "views": ["identity"]}}}
    faults = refused(NOISY, membership=views)
    assert "reads the losses of the plain image" in faults["membership.attacks.watched.views"]
