"""The network of a finished Run, as it was written."""

import pytest
import safetensors.torch
import torch

from runner.plan.work import Work
from runner.storage import store
from runner.storage.store import Corrupt
from runner.train.train import train
from runner.train.workplace import Workplace, weights_file


def test_a_trained_network_has_the_weights_of_its_file_and_answers_in_eval_mode(
    place: Workplace, work: Work
):
    run = work.plan.arms["erm"][0]
    train(run, place)
    model = place.trained(run)
    written = safetensors.torch.load(store.read(work.store.run(run.id), weights_file("last")))
    assert written
    assert not any(module.training for module in model.modules())
    loaded = model.state_dict()
    assert set(loaded) == set(written)
    assert all(torch.equal(loaded[name], values) for name, values in written.items())


def test_weights_of_another_network_are_corrupt_and_named(place: Workplace, work: Work):
    run = work.plan.arms["erm"][0]
    folder, name = work.store.run(run.id), weights_file("last")
    store.write(folder / name, safetensors.torch.save({"other": torch.zeros(2)}))
    store.finish(folder, [name], {})
    with pytest.raises(Corrupt) as corrupt:
        place.trained(run)
    assert corrupt.value.path == str(folder / name)
