import copy
import itertools
import math
from dataclasses import replace
from typing import Any, ClassVar, Literal

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, SequentialLR

from defenses import Kit
from defenses.dp_sgd import DPSGD
from defenses.erm import ERM
from defenses.trades import TRADES, InnerPGD
from runner.experiment.experiment import Experiment
from runner.experiment.training import Schedule, Training
from runner.models import ImageShape, Model, Normalize
from runner.models.resnet import ResNet
from runner.models.small_cnn import SmallCnn
from runner.plan.plan import Run
from runner.train.fit import build_model, fit, lr_factor
from runner.train.workplace import Workplace


def trained(run: Run, place: Workplace, state: dict | None = None, stop: int = 99):
    """The epochs of a Run, each with its state copied."""
    epochs = []
    for epoch in fit(run, place.pool_images, place.pool_labels, place.shape, state=state):
        epochs.append((epoch.metrics, copy.deepcopy(epoch.state())))
        if epoch.number == stop:
            break
    return epochs


def same(a: dict, b: dict) -> bool:
    return all(torch.equal(a[key], b[key]) for key in a)


@pytest.mark.parametrize("arm", ["erm", "pgd_at"])
def test_going_on_from_a_checkpoint_gives_the_bits_of_an_undisturbed_run(
    place: Workplace, work, arm: str
):
    run = work.plan.arms[arm][0]
    whole = trained(run, place)
    half = trained(run, place, stop=0)
    torch.rand(17)  # whatever happened in between
    rest = trained(run, place, state=half[0][1])
    assert len(rest) == 1
    assert same(whole[-1][1]["model"], rest[-1][1]["model"])
    assert whole[-1][0]["loss_total"] == rest[-1][0]["loss_total"]


def test_the_loss_falls_and_every_epoch_is_told(place: Workplace, tiny: Experiment, work):
    epochs = trained(work.plan.arms["erm"][0], place)
    assert len(epochs) == tiny.training.epochs
    assert epochs[-1][0]["loss_total"] < epochs[0][0]["loss_total"]
    assert epochs[0][0]["time_s"] > 0


def test_partners_start_from_their_own_weights_and_arms_from_the_same(place: Workplace, work):
    device = torch.device("cpu")

    def first(arm: str, m: int) -> torch.Tensor:
        model = build_model(work.plan.arms[arm][m], place.shape, device)
        return torch.cat([p.flatten() for p in model.parameters()])

    assert torch.equal(first("erm", 0), first("pgd_at", 0))
    assert not torch.equal(first("erm", 0), first("erm", 1))


def test_a_network_is_laid_out_as_torch_lays_out_a_whole_one(place: Workplace, work):
    """Strides of one channel or one pixel included, which decide what a convolution calls."""
    ours = build_model(work.plan.arms["erm"][0], place.shape, torch.device("cpu"))
    expected: Any = copy.deepcopy(ours).to(memory_format=torch.contiguous_format)
    expected = expected.to(memory_format=torch.channels_last)
    tensors = zip(ours.state_dict().items(), expected.state_dict().values(), strict=True)
    for (name, t), other in tensors:
        assert t.stride() == other.stride(), name


def test_a_run_learns_from_its_members_alone(place: Workplace, work):
    run = work.plan.arms["erm"][0]
    others = place.pool_images.clone()
    others[torch.from_numpy(run.member == 0)] = 77
    changed = place._replace(pool_images=others)
    assert same(trained(run, place)[-1][1]["model"], trained(run, changed)[-1][1]["model"])


def test_a_loss_that_is_not_finite_ends_the_run_with_the_way_out(place: Workplace, work):
    run = work.plan.arms["erm"][0]
    wild = replace(run, training=run.training.model_copy(update={"lr": 1e20}))
    with pytest.raises(FloatingPointError, match=r"lower training\.lr"):
        trained(wild, place)


@pytest.mark.parametrize(
    ("model", "batch_size", "steps"),
    [
        (ResNet(name="resnet18", width=1), 32, 3),  # the last 4 would be 4 values at 1x1 pixels
        (ResNet(name="resnet18", width=1), 46, 3),  # the last 8 are enough
        (ResNet(name="resnet18", width=1), 4, 25),  # a whole batch is what was asked for
        (SmallCnn(width=1), 32, 4),  # 16 positions an image
        (SmallCnn(width=1), 33, 3),  # a last one of one image
    ],
    ids=str,
)
def test_a_last_batch_too_small_for_batch_norm_is_left_out(
    place: Workplace, work, model: Model, batch_size: int, steps: int
):
    run = work.plan.arms["erm"][0]
    assert len(run.members) == 100
    training = run.training.model_copy(update={"batch_size": batch_size, "lr": 0.001})
    state = trained(replace(run, model=model, training=training), place, stop=0)[0][1]["model"]
    made = {int(value) for name, value in state.items() if "num_batches_tracked" in name}
    assert made == {steps}


class OwnMlp(Model):
    """A user's network, whose norm sees one value a channel."""

    name: Literal["own"] = "own"

    def build(self, shape: ImageShape) -> nn.Module:
        pixels = shape.channels * shape.height * shape.width
        layers = (nn.Linear(pixels, 16), nn.BatchNorm1d(16), nn.ReLU())
        last = nn.Linear(16, shape.num_classes)
        return nn.Sequential(Normalize(shape), nn.Flatten(), *layers, last)


@pytest.mark.parametrize("batch_size", [4, 32])
def test_dp_sgd_learns_where_batch_norm_was_over_single_values(
    place: Workplace, work, batch_size: int
):
    """A group of one value would leave biases alone, and the loss at log(10)."""
    run = work.plan.arms["erm"][0]
    keys = {"batch_size": batch_size, "lr": batch_size / 64, "epochs": 12}
    run = replace(run, model=OwnMlp(), training=run.training.model_copy(update=keys))
    defense = DPSGD(noise_multiplier=0.0)
    assert trained(replace(run, defense=defense), place)[-1][0]["loss_total"] < math.log(10) / 2


def test_learning_rates_follow_their_closed_forms():
    cosine = Schedule(name="cosine")
    assert [lr_factor(cosine, s, 1, 10) for s in (0, 5, 10)] == pytest.approx([1, 0.5, 0])
    step = Schedule(name="step", milestones=(5, 8))
    assert [lr_factor(step, s, 100, 10) for s in (0, 499, 500, 800)] == pytest.approx(
        [1, 1, 0.1, 0.01]
    )
    warm = Schedule(name="constant", warmup_epochs=2)
    assert [lr_factor(warm, s, 5, 10) for s in (0, 4, 9, 10, 49)] == pytest.approx(
        [0.1, 0.5, 1, 1, 1]
    )
    half_a_step = Schedule(name="constant", warmup_epochs=0.05)
    assert lr_factor(half_a_step, 0, 10, 1) == 1


@pytest.mark.parametrize(("epochs", "num_steps", "warmup"), [(10, 7, 3), (5, 1, 2), (4, 50, 1)])
def test_a_warm_up_and_cosine_are_those_of_torch_in_sequence(
    epochs: int, num_steps: int, warmup: int
):
    first, whole = warmup * num_steps, epochs * num_steps
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    rising = LinearLR(optimizer, 1 / first, 1.0, first - 1)
    peer = SequentialLR(optimizer, [rising, CosineAnnealingLR(optimizer, whole - first)], [first])
    schedule = Schedule(warmup_epochs=warmup)
    for step in range(whole):
        expected = optimizer.param_groups[0]["lr"]
        assert lr_factor(schedule, step, num_steps, epochs) == pytest.approx(expected, rel=1e-9)
        optimizer.step()
        peer.step()


@pytest.mark.parametrize("warmup", [0.1, 0.5, 1.3, 2])
@pytest.mark.parametrize("name", ["constant", "cosine"])
def test_no_rate_is_0_nothing_jumps_and_the_highest_is_the_one_that_is_asked_for(
    name: str, warmup: float
):
    schedule = Schedule.model_validate({"name": name, "warmup_epochs": warmup})
    rates = [lr_factor(schedule, step, 40, 3) for step in range(120)]
    assert min(rates) > 0
    assert max(rates) == pytest.approx(1, abs=1e-3)
    jumps = [abs(b - a) for a, b in itertools.pairwise(rates)]
    assert max(jumps) <= max(1 / (40 * warmup), math.pi / 2 / (40 * (3 - warmup))) + 1e-12


class Told(ERM):
    """ERM that keeps the rate of every step."""

    rates: ClassVar[list[float]] = []

    def protect(self, kit: Kit) -> Kit:
        kit.optimizer.register_step_pre_hook(
            lambda optimizer, *_: self.rates.append(optimizer.param_groups[0]["lr"])
        )
        return kit


@pytest.mark.parametrize(("private", "num_steps"), [(False, 4), (True, 3)])
def test_a_run_takes_the_rates_of_its_own_number_of_steps_and_goes_on_in_the_middle_of_them(
    place: Workplace, work, private: bool, num_steps: int
):
    """Of 100 members in batches of 32 Poisson sampling makes round(100 / 32) = 3 steps."""
    defense: Any = Told()
    if private:
        defense = DPSGD(noise_multiplier=1.0, accountant="rdp", base=defense)
    run = work.plan.arms["erm"][0]
    training = Training(
        epochs=2, batch_size=32, lr=3.0, schedule=Schedule(warmup_epochs=1), precision="fp32"
    )
    run = replace(run, defense=defense, training=training)
    Told.rates.clear()
    first, _ = trained(run, place)
    rising = [3 * (k + 1) / num_steps for k in range(num_steps)]
    falling = [1.5 * (1 + math.cos(math.pi * k / num_steps)) for k in range(num_steps)]
    assert Told.rates == pytest.approx(rising + falling)
    Told.rates.clear()
    trained(run, place, state=first[1])
    assert Told.rates == pytest.approx(falling)


def test_adam_trains_too(place: Workplace, work):
    run = work.plan.arms["erm"][0]
    training = Training(epochs=2, batch_size=32, optimizer="adam", lr=1e-2, precision="fp32")
    epochs = trained(replace(run, training=training), place)
    assert epochs[-1][0]["loss_total"] < epochs[0][0]["loss_total"]


def test_bf16_stays_near_fp32(place: Workplace, work):
    run = work.plan.arms["erm"][0]
    low = replace(run, training=run.training.model_copy(update={"precision": "bf16"}))
    losses = [trained(r, place)[-1][0]["loss_total"] for r in (run, low)]
    assert losses[1] == pytest.approx(losses[0], rel=0.05)
    assert losses[1] != losses[0]


def test_trades_in_bf16_moves_every_weight_as_fp32_does(place: Workplace, work):
    """Weights that autocast cached while crafting without gradients must still get theirs."""
    base = work.plan.arms["erm"][0]
    start = build_model(base, place.shape, torch.device("cpu")).state_dict()
    trades = TRADES(attack=InnerPGD(eps=0.1, step_size=0.05, num_steps=2))
    moves = {}
    for precision in ("fp32", "bf16"):
        training = base.training.model_copy(update={"precision": precision, "epochs": 1})
        end = trained(replace(base, defense=trades, training=training), place)[-1][1]["model"]
        moves[precision] = {name: end[name] - start[name] for name in start}
    for name, move in moves["fp32"].items():
        if move.is_floating_point():
            other = moves["bf16"][name].flatten()
            assert torch.cosine_similarity(move.flatten(), other, dim=0) > 0.9, name


def private(run: Run, **keys: Any) -> Run:
    noise = {} if "target_epsilon" in keys else {"noise_multiplier": 1.0}
    defense = DPSGD(**noise, accountant="rdp", **keys)
    training = run.training
    defense = defense.resolved(len(run.members), training.batch_size, training.epochs)
    return replace(run, defense=defense, delta=1e-6)


def test_a_proved_epsilon_is_told_after_every_epoch_at_the_runs_delta(place: Workplace, work):
    run = private(work.plan.arms["erm"][0])
    epochs = trained(run, place)
    assert len(epochs) == 2
    for number, (metrics, _) in enumerate(epochs):
        network = build_model(run, place.shape, torch.device("cpu"))
        expected = run.defense.guarantee(run.facts(network, number + 1))
        assert expected is not None
        assert (metrics["epsilon"], metrics["delta"]) == (expected.epsilon, 1e-6)
    assert 0 < epochs[0][0]["epsilon"] < epochs[1][0]["epsilon"]
    without = trained(work.plan.arms["erm"][0], place, stop=0)[0][0]
    assert not {"epsilon", "delta"} & set(without)


def test_a_target_epsilon_is_reached_after_the_last_epoch_and_not_before(place: Workplace, work):
    run = private(work.plan.arms["erm"][0], target_epsilon=8, target_delta=1e-6)
    first, last = (metrics["epsilon"] for metrics, _ in trained(run, place))
    assert first < 7
    assert 7.9 < last <= 8


def test_a_step_in_several_parts_is_the_same_step(place: Workplace, work):
    run = work.plan.arms["erm"][0]
    whole, parts = (trained(private(run, physical_batch_size=n), place)[-1] for n in (1000, 5))
    for name, value in whole[1]["model"].items():
        assert torch.allclose(value, parts[1]["model"][name], atol=1e-5), name
    assert parts[0]["loss_total"] == pytest.approx(whole[0]["loss_total"], rel=1e-4)
