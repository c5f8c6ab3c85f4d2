"""What cannot work is found on a few real images, before anything is started."""

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from defenses import Defense, Losses
from runner.experiment.config import ConfigError
from runner.experiment.experiment import Experiment
from runner.faults import DataMissing
from runner.forecast.forecast import forecast
from runner.forecast.rehearsal.rehearse import at_hand, rehearse, rehearse_early, tried
from runner.plan.work import Work, prepare
from tests.conftest import NOISY, TINY, do_here
from tests.made.odd_networks import Net, dataset_of, experiment_of, noise, rehearsed, work_of

ERM = {"erm": {"defense": {"name": "erm"}}}


def told(experiment: Experiment, **rest: Any) -> dict[str, str]:
    """The reasons, by path."""
    return {fault.path: fault.reason for fault in rehearsed(experiment, **rest).faults}


@pytest.mark.parametrize(
    ("odd", "why"),
    [
        ("three channels", "odd on 8x8 images of 1 channel: RuntimeError: Given groups=1"),
        ("one class too many", "it returns (3, 11); expected one logit for each class, (3, 10)"),
        ("in half precision", "must have the same dtype"),
        ("drawn by numpy", "once its weights were saved and loaded, it gives other answers"),
        ("averages that are not saved", "once its weights were saved and loaded"),
        ("a file that is not there", "FileNotFoundError: [Errno 2] No such file or directory"),
        ("in place", "it changes the images that it is given"),
        ("a view", "Use .reshape(...) instead. (at odd_networks.py:"),
        ("counts its calls", "asked twice about the same images under the same seed"),
        ("on a GPU", "odd on 8x8 images of 1 channel"),
        ("a tuple", "it returns a tuple; return the logits alone, (3, 10)"),
        ("two axes more", "it returns (3, 10, 1, 1)"),
        ("probabilities", "it returns probabilities, and losses and attacks take logits"),
        ("squeezed", "asked about one image alone it returns (10,); keep the first axis"),
        ("classes", "expected one logit for each class"),
        ("extra state", "its state_dict holds _extra_state, a dict"),
    ],
)
def test_a_network_that_could_not_be_trained_asked_or_kept_is_refused(odd: str, why: str):
    faults = told(experiment_of(odd))
    assert list(faults) == ["arms.erm.model"]  # and not the same of the other arm
    assert why in faults["arms.erm.model"]


@pytest.mark.parametrize("odd", ["frozen", "through numpy"])
def test_a_network_without_gradients_is_refused(odd: str):
    assert "does not require grad" in told(experiment_of(odd, arms=ERM))["arms.erm.defense"]


@pytest.mark.parametrize(
    "odd",
    [
        *("", "one channel", "batchnorm", "log-probabilities", "own normalisation", "unused"),
        *("weights that are read", "begins at zero"),
        "sizes from the first image",
    ],
)
def test_a_network_that_can_be_trained_asked_and_kept_is_not_refused(odd: str):
    experiment = experiment_of(odd)
    assert told(experiment) == {}
    work = work_of(experiment)
    assert work.remarks == {}  # such as ask for its shapes
    assert work.guarantee("erm") is None


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_either_precision_is_tried(precision: str):
    training = {"epochs": 1, "batch_size": 32, "precision": precision}
    assert told(Experiment.model_validate({**TINY, "training": training})) == {}
    odd = experiment_of("averages that are not saved", training=training)
    assert "it gives other answers" in told(odd)["arms.erm.model"]


def test_a_network_that_divides_by_what_is_0_in_one_of_all_images_is_refused():
    images = noise(1, 4, 4)
    assert told(experiment_of("own normalisation"), dataset=dataset_of(images)) == {}
    images[37] = 200  # of one colour
    faults = told(experiment_of("own normalisation"), dataset=dataset_of(images))
    assert "its answers to 1 of 4 images are not finite" in faults["arms.erm.model"]


@pytest.mark.parametrize(
    ("many", "built"),
    [
        ({"name": "selena", "num_models": 9, "left_out": 4, "split_epochs": 1}, 4),
        ({"name": "residual_perturbation", "gamma": 0.0, "members": 9}, 2),
        ({"name": "awp", "base": {"name": "residual_perturbation", "gamma": 0.0, "members": 9}}, 2),
    ],
)
def test_of_many_networks_of_one_kind_few_are_tried(many: dict[str, Any], built: int):
    training = {**TINY["training"], "epochs": 2}
    work = work_of(experiment_of("", arms={"many": {"defense": many}}, training=training))
    Net.num_made = 0
    assert tried(work, ["many"], set()).faults == []
    assert 0 < Net.num_made <= 6 * built  # for a step, its norms, answers, weights and attacks
    assert Net.num_made % built == 0


class Hardest(Defense):
    """A defense that learns from the 16 hardest examples of a batch."""

    name: str = "hardest"

    def losses_at(self, model: Any, images: Any, adversarial: Any, labels: Any) -> Losses:
        losses = F.cross_entropy(model(images), labels, reduction="none")
        return Losses(losses.topk(16)[0])


def test_what_takes_a_whole_batch_is_tried_with_the_batches_that_there_will_be():
    arms = {"hardest": {"defense": Hardest()}}
    training = {"epochs": 1, "batch_size": 25, "precision": "fp32"}
    made = {**TINY, "arms": arms, "training": training}
    assert told(Experiment.model_validate(made)) == {}  # 100 members: 4 batches of 25
    made["training"] = {**training, "batch_size": 32}
    faults = told(Experiment.model_validate(made))
    assert "selected index k out of range" in faults["arms.hardest.defense"]


def test_a_network_that_needs_a_gpu_is_left_to_the_workers_that_have_one():
    found = rehearsed(experiment_of("on a GPU", fleet={"num_gpus": 1}))
    assert found.faults == []
    assert found.notes[0].startswith("erm: it was not tried before it starts, as it needs a GPU")


def test_several_workers_take_no_unused_weights_and_on_cpus_no_batchnorm():
    fleet = {"workers_per_run": 2}
    model = {"name": "small_cnn", "width": 4, "norm": "group"}
    unused = told(experiment_of("unused", fleet=fleet, model=model, arms=ERM))
    assert "the loss does not depend on other.weight" in unused["arms.erm.model"]
    norm = told(experiment_of("batchnorm", fleet=fleet, model=model, arms=ERM))
    assert "put GroupNorm in its place" in norm["arms.erm.model"]
    assert told(experiment_of("", fleet=fleet, model=model, arms=ERM)) == {}


def test_a_defense_that_cannot_be_built_into_its_arms_network_is_refused_where_it_is_written():
    model = {"name": "small_cnn", "width": 4}
    faults = told(Experiment.model_validate({**NOISY, "model": model}))
    assert list(faults) == ["arms.noisy.defense"]
    assert "residual blocks" in faults["arms.noisy.defense"]
    assert "choose another model or defense" in faults["arms.noisy.defense"]


def test_every_defense_is_tried_with_all_that_it_does_to_a_step():
    defenses = {
        "private": {"name": "dp_sgd", "noise_multiplier": 1.0},
        "private_at": {"name": "dp_sgd", "noise_multiplier": 1.0, "base": {"name": "pgd_at"}},
        "moved": {"name": "awp", "base": {"name": "demem", "base": {"name": "trades"}}},
        "five": {"name": "residual_perturbation", "gamma": 0.5, "members": 5},
    }
    arms = {name: {"defense": defense} for name, defense in defenses.items()}
    model = {"name": "resnet8", "width": 4, "norm": "group"}
    assert told(Experiment.model_validate({**TINY, "model": model, "arms": arms})) == {}


def test_norms_that_see_too_few_values_are_refused_where_they_run():
    training = {"epochs": 1, "batch_size": 3, "precision": "fp32"}
    faults = told(experiment_of("batchnorm", training=training, arms=ERM))
    assert "the BatchNorm in norm normalises 3 values at a time" in faults["arms.erm.model"]
    assert told(experiment_of("batchnorm", arms=ERM)) == {}


def test_a_network_that_gives_all_images_one_answer_is_refused():
    faults = told(experiment_of("own norm of one value"))
    assert "it gives all images the same answer" in faults["arms.erm.model"]


NARROW = """
from defenses import Defense, Losses


class Narrow(Defense):
    name: str = "narrow"

    def losses_at(self, model, images, adversarial, labels):
        return Losses(model(images[:, :, :9, :9].reshape(len(images), -1, 9, 9)).mean(1))
"""


def test_an_own_defense_that_fails_is_refused_with_the_line_that_fails(tmp_path: Path):
    """It needs images of 9x9."""
    (tmp_path / "narrow.py").write_text(NARROW)
    found: dict[str, Any] = {"__name__": "narrow"}
    exec(compile(NARROW, str(tmp_path / "narrow.py"), "exec"), found)
    arms = {"mine": {"defense": found["Narrow"]()}}
    fault = told(Experiment.model_validate({**TINY, "arms": arms}))["arms.mine.defense"]
    assert "a step of narrow on small_cnn on 8x8 images of 1 channel: RuntimeError: shape" in fault
    assert f"(at {tmp_path}/narrow.py:9)" in fault


def test_no_global_random_number_is_drawn_and_nothing_is_written(work: Work, tmp_path: Path):
    before = torch.get_rng_state(), repr(np.random.get_state()), random.getstate()
    files = sorted(tmp_path.rglob("*"))
    rehearse(work, "tiny.yaml")
    assert torch.equal(torch.get_rng_state(), before[0])
    assert repr(np.random.get_state()) == before[1]
    assert random.getstate() == before[2]
    assert sorted(tmp_path.rglob("*")) == files


def test_faults_have_the_line_in_which_they_stand():
    lines = {("arms",): 5, ("arms", "erm"): 6}
    experiment = experiment_of("a tuple")
    with pytest.raises(ConfigError) as raised:
        rehearse_early(experiment, experiment.data.load(), "mine.yaml", lines)
    assert "line 6: arms.erm.model: odd on 8x8" in str(raised.value)


def test_more_noise_than_is_needed_is_said_before_anything_starts(tmp_path: Path):
    asked = {"name": "dp_sgd", "target_epsilon": 2, "accountant": "rdp"}
    arms = {name: {"defense": asked} for name in ("one", "other")}
    experiment = Experiment.model_validate({**TINY, "arms": arms, "robustness": {"attacks": {}}})
    (told,) = rehearse_early(experiment, experiment.data.load(), "x")
    assert told.startswith("one, other: DP-SGD: accountant rdp takes noise ")
    assert "is enough, 8 % less" in told
    assert f"\nnote: {told}\n" in forecast(prepare(experiment, tmp_path))


def test_what_is_done_is_not_tried_again(tmp_path: Path):
    experiment = Experiment.model_validate({**TINY, "arms": ERM})
    work = do_here(prepare(experiment, tmp_path))
    broken = replace(work.dataset, std=(0.0,))
    assert rehearse(work._replace(dataset=broken), "x") == []
    arms = {"erm": tuple(replace(run, seed=1) for run in work.plan.arms["erm"])}
    undone = work._replace(dataset=broken, plan=replace(work.plan, arms=arms))
    with pytest.raises(ConfigError, match="std: expected 1 numbers, above 0"):
        rehearse(undone, "x")


def test_without_data_networks_are_tried_on_noise_of_their_shape(tmp_path: Path):
    data = {"name": "cifar10", "root": str(tmp_path), "num_examples": 400}
    experiment = experiment_of("one channel", data=data)
    dataset, note = at_hand(experiment.data)
    assert note == (
        f"no CIFAR-10 under '{tmp_path}', so networks were tried on noise of that shape"
    )
    assert dataset is not None
    with pytest.raises(ConfigError, match="odd on 32x32 images of 3 channels"):
        rehearse_early(experiment, dataset, "x")
    root = tmp_path / "mine.npz"
    own = Experiment.model_validate({**TINY, "data": {"name": "npz", "root": str(root)}})
    dataset, note = at_hand(own.data)
    assert dataset is None
    assert "so no network was tried; `runner plan` tries them" in note
    assert not [*tmp_path.iterdir()]
    root.write_bytes(b"no such thing")
    with pytest.raises(DataMissing, match="cannot read"):
        at_hand(own.data)
