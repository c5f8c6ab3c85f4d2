"""What only a GPU shows: devices that do not meet, generators, autocast."""

import copy
import math
from dataclasses import replace
from typing import Any

import pytest
import torch

from attacks.by_name import find
from defenses import Defense
from runner.plan.work import Work
from runner.train.fit import fit
from runner.train.workplace import make_workplace

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU"),
]


@pytest.mark.parametrize("arm", ["erm", "pgd_at"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_run_learns_on_a_gpu_as_it_does_on_a_cpu(work: Work, arm: str, precision: str):
    run = work.plan.arms[arm][0]
    augment = run.augment.model_copy(update={"crop_padding": 1, "flip": True})
    training = run.training.model_copy(update={"precision": precision})
    run = replace(run, augment=augment, training=training)
    losses = {}
    for name in ("cpu", "cuda"):
        place = make_workplace(work.dataset, torch.device(name), work.store)
        epochs = list(fit(run, place.pool_images, place.pool_labels, place.shape))
        losses[name] = [epoch.metrics["loss_total"] for epoch in epochs]
    assert losses["cuda"][-1] < losses["cuda"][0]
    assert losses["cuda"] == pytest.approx(losses["cpu"], rel=0.2)


def test_a_checkpoint_goes_on_on_a_gpu(work: Work):
    run = work.plan.arms["erm"][0]
    place = make_workplace(work.dataset, torch.device("cuda"), work.store)
    first = next(fit(run, place.pool_images, place.pool_labels, place.shape))
    state = copy.deepcopy(first.state())
    rest = list(fit(run, place.pool_images, place.pool_labels, place.shape, state=state))
    assert [epoch.number for epoch in rest] == [1]
    assert rest[0].metrics["loss_total"] < first.metrics["loss_total"]


@pytest.mark.parametrize(
    "defense",
    [
        {"name": "residual_perturbation", "gamma": 0.2, "members": 2},
        {"name": "residual_perturbation", "gamma": 0.2, "strategy": "II", "eta": 0.1},
        {"name": "dp_sgd", "noise_multiplier": 0.1, "physical_batch_size": 10},
    ],
    ids=lambda defense: defense.get("strategy", defense["name"]),
)
def test_noise_is_drawn_on_the_gpu_and_the_same_seed_gives_the_same_losses(
    noisy_work: Work, defense: dict[str, Any]
):
    if defense["name"] == "dp_sgd":
        pytest.importorskip("opacus")
    chosen = find("defenses", defense["name"], Defense).model_validate(defense)
    run = replace(noisy_work.plan.arms["erm"][0], defense=chosen)
    place = make_workplace(noisy_work.dataset, torch.device("cuda"), noisy_work.store)
    first, again = (
        [e.metrics for e in fit(run, place.pool_images, place.pool_labels, place.shape)]
        for _ in range(2)
    )
    for before, after in zip(first, again, strict=True):
        assert math.isfinite(before["loss_total"])
        assert before["loss_total"] == pytest.approx(after["loss_total"], rel=1e-3)
