"""How many Runs share a GPU, by two steps of each."""

from dataclasses import replace

import pytest
import torch

from runner.fleet._gpu_memory import Memory, measure, packing, two_steps
from runner.plan.work import Work
from runner.train.fit import fit
from runner.train.workplace import Workplace

GB = 10**9


@pytest.mark.parametrize(("needed", "fit"), [(2.0, 36), (30.0, 2), (71.0, 1), (73.0, 0)])
def test_as_many_runs_fit_on_a_gpu_as_leave_a_tenth_of_it_free(needed: float, fit: int):
    found = [Memory(GB, 80 * GB), Memory(int(needed * GB), 80 * GB)]
    assert packing(found) == fit


def test_two_steps_of_a_run_take_its_own_batch_model_and_defense(
    work: Work, place: Workplace, monkeypatch: pytest.MonkeyPatch
):
    run = work.plan.arms["pgd_at"][0]
    short = two_steps(run)
    assert len(short.members) == 2 * run.training.batch_size
    assert short.training.epochs == 1
    assert (short.model, short.defense) == (run.model, run.defense)
    step, steps = torch.optim.SGD.step, []
    monkeypatch.setattr(torch.optim.SGD, "step", lambda self: (steps.append(1), step(self)))
    assert len([*fit(short, place.pool_images, place.pool_labels, place.shape)]) == 1
    assert len(steps) == 2


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_a_larger_batch_is_measured_to_take_more(work: Work, place: Workplace):
    run = work.plan.arms["erm"][0]
    wide = run.model.model_copy(update={"width": 512})
    runs = [
        replace(run, model=wide, training=run.training.model_copy(update={"batch_size": size}))
        for size in (1, 64)
    ]
    images, labels = place.pool_images.cuda(), place.pool_labels.cuda()
    small, large = measure(runs, images, labels, place.shape)
    assert 0 < small.needed < large.needed < large.total
