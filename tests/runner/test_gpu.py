"""What only a GPU shows: devices that do not meet, generators, autocast."""

import copy
from dataclasses import replace

import pytest
import torch

from runner.fit import fit
from runner.pipeline import Work
from runner.workplace import make_workplace

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
