"""The moving average of weights: what a Run gives away where it is asked for."""

from dataclasses import replace
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from attacks.evasion import plain
from defenses import Defense, Kit
from defenses.dp_sgd import DPSGD
from defenses.erm import ERM
from runner.experiment.experiment import Experiment
from runner.experiment.training import Selection, Training
from runner.models.resnet import ResNet
from runner.plan.plan import Run
from runner.storage import store
from runner.train._average import Average, share_of
from runner.train.fit import build_model, fit
from runner.train.train import train
from runner.train.workplace import Workplace
from tests.conftest import TINY
from tests.made.training import a_run, trained


class Watched(ERM):
    """ERM that keeps the network's tensors before each step, which are those after the last."""

    seen: ClassVar[list[dict[str, Tensor]]] = []

    def protect(self, kit: Kit) -> Kit:
        def steps(epoch: int) -> Any:
            for parts in kit.steps(epoch):
                yield parts
                state = plain(kit.model).state_dict()
                self.seen.append({name: t.clone() for name, t in state.items()})

        return kit._replace(steps=steps)


def averaging(run: Run, decay: float | None, **training: Any) -> Run:
    changed = run.training.model_copy(update={"ema": decay, **training})
    return replace(run, training=changed)


def by_hand(steps: list[dict[str, Tensor]], first: dict[str, Tensor], decay: float) -> dict:
    """The average in float64, as a sum over all steps with the weight of each."""
    found = {name: t.double() for name, t in first.items()}
    for step, state in enumerate(steps):
        kept = min(decay, (1 + step) / (10 + step))
        found = {name: kept * t + (1 - kept) * state[name].double() for name, t in found.items()}
    return found


@pytest.mark.parametrize("decay", [0.5, 0.999])
def test_it_is_the_weighted_sum_of_the_weights_after_every_step(
    place: Workplace, work, decay: float
):
    run = averaging(replace(work.plan.arms["erm"][0], defense=Watched()), decay, lr=0.05)
    Watched.seen.clear()
    first = build_model(run, place.shape, torch.device("cpu")).state_dict()
    *_, last = fit(run, place.pool_images, place.pool_labels, place.shape)
    steps = Watched.seen[len(Watched.seen) // (run.training.epochs + 1) :]  # first it counts them
    assert len(steps) == 8
    expected = by_hand(steps, first, decay)
    moved = 0
    for name, t in last.model.state_dict().items():
        if t.is_floating_point():
            torch.testing.assert_close(t.double(), expected[name], rtol=1e-5, atol=1e-6)
            moved += not torch.equal(t, last.state()["model"][name])
        else:
            assert torch.equal(t, steps[-1][name]), name
    assert moved > 5
    for name, t in last.state()["average"].items():
        assert torch.equal(t, last.model.state_dict()[name])


def test_its_first_steps_leave_nothing_of_the_weights_that_nobody_trained():
    left, decays = 1.0, [1 - share_of(0.9999, step) for step in range(40)]
    for decay in decays:
        left *= decay
    assert left < 1e-9
    assert decays[0] == pytest.approx(0.1)
    assert 1 - share_of(0.9, 81) == pytest.approx(0.9)
    assert 1 - share_of(0.9, 10**6) == pytest.approx(0.9)


def test_what_never_moves_comes_out_to_the_bit_and_weights_with_two_names_are_averaged_once():
    class Tied(nn.Module):
        def __init__(self, start: float) -> None:
            super().__init__()
            self.one, self.two = nn.Linear(2, 2), nn.Linear(2, 2)
            self.two.weight = self.one.weight
            nn.init.constant_(self.one.weight, start)
            self.register_buffer("mean", torch.tensor([0.1, 0.3, 1 / 3]))
            self.register_buffer("on", torch.tensor([True, False]))

    mine, theirs = Tied(0.0), Tied(1.0)
    average = Average(mine, 0.75)
    for step in range(100, 103):
        average.add(theirs, step)
    assert torch.equal(mine.get_buffer("mean"), theirs.get_buffer("mean"))
    assert torch.equal(mine.get_buffer("on"), theirs.get_buffer("on"))
    torch.testing.assert_close(mine.two.weight.detach(), torch.full((2, 2), 1 - 0.75**3))


def test_training_is_not_moved_by_it_and_without_it_nothing_is_kept(place: Workplace, work):
    run = work.plan.arms["erm"][0]
    without, with_it = trained(run, place)[-1], trained(averaging(run, 0.9), place)[-1]
    assert "average" not in without[1]
    for name, t in without[1]["model"].items():
        assert torch.equal(t, with_it[1]["model"][name])
    assert without[0]["loss_total"] == with_it[0]["loss_total"]


@pytest.mark.parametrize("private", [False, True])
def test_going_on_from_a_checkpoint_gives_the_bits_of_an_undisturbed_run(
    place: Workplace, work, private: bool
):
    defense: Defense = DPSGD(noise_multiplier=1.0) if private else ERM()
    run = averaging(a_run(work, defense, lr=0.05), 0.9)
    whole = trained(run, place)
    torch.rand(17)
    rest = trained(run, place, state=whole[0][1])
    for what in ("model", "average"):
        a, b = whole[-1][1][what], rest[-1][1][what]
        assert all(torch.equal(a[name], b[name]) for name in a)
    assert any(not torch.equal(t, whole[-1][1]["model"][n]) for n, t in b.items())


def test_a_step_of_dp_sgd_counts_once_however_many_parts_it_has_and_also_if_nobody_is_drawn(
    place: Workplace, work
):
    averages = []
    for part in (None, 2):
        defense = DPSGD(noise_multiplier=0.1, physical_batch_size=part)
        run = averaging(a_run(work, defense, lr=0.01, epochs=1, batch_size=2), 0.9)
        averages.append(trained(run, place)[-1][1]["average"])
    for name, t in averages[0].items():
        torch.testing.assert_close(t, averages[1][name], rtol=1e-4, atol=1e-5)


def test_the_average_is_what_is_written_what_selection_looks_at_and_what_is_asked(
    place: Workplace, tiny: Experiment, work
):
    run = averaging(work.plan.arms["erm"][0], 0.9)
    held_out = run.members[:40]
    run = replace(run, selection=Selection(num_examples=40, attack=None), selected_on=held_out)
    *_, last = fit(run, place.pool_images, place.pool_labels, place.shape)
    train(run, place)
    assert store.facts(place.store.run(run.id))
    released = place.trained(run).state_dict()
    for name, t in last.model.state_dict().items():
        assert torch.equal(released[name], t), name
    facts = store.facts(place.store.run(run.id))
    assert facts
    best = place.trained(run, "best")
    images = place.pool_images[torch.from_numpy(held_out)].float() / 255
    right = best(images).argmax(1) == place.pool_labels[torch.from_numpy(held_out)]
    assert facts["selection_accuracy"] == pytest.approx(right.float().mean().item())


def test_a_run_without_it_keeps_its_id_and_one_with_it_has_another(work):
    run = work.plan.arms["erm"][0]
    assert "ema" not in run.recipe()["training"]
    assert averaging(run, None).id == run.id != averaging(run, 0.9).id
    dumped = averaging(run, 0.9).training.model_dump(mode="json")
    assert Training.model_validate(dumped).ema == 0.9


@pytest.mark.parametrize("decay", [0, 1, 1.5, -0.1])
def test_a_decay_that_averages_nothing_is_refused(decay: float):
    keys = {**TINY, "training": {**TINY["training"], "ema": decay}}
    with pytest.raises(ValueError, match=r"training\.ema"):
        Experiment.model_validate(keys)


def test_an_average_in_bf16_and_of_a_network_without_batch_norm(place: Workplace, work):
    run = averaging(work.plan.arms["erm"][0], 0.9, precision="bf16")
    run = replace(run, model=ResNet(name="resnet8", width=4, norm="group"))
    *_, last = fit(run, place.pool_images, place.pool_labels, place.shape)
    assert all(t.dtype == torch.float32 for t in last.model.state_dict().values())
    assert last.metrics["loss_total"] > 0
