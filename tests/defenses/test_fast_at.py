"""N-FGSM against a plain loop, and the guard that sees training by one step break."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attacks.evasion.fgsm import FGSM
from defenses.dp_sgd import DPSGD
from defenses.erm import ERM
from defenses.fast_at import MANY_STEPS, ONE_STEP, FastAT
from runner.storage import store
from runner.train.train import train
from runner.train.workplace import Workplace
from tests.defenses.oracles import batch, network
from tests.made.defenses import loss_and_gradients
from tests.made.training import a_run, trained


def crafted(eps: float, step_size: float, noise: float, training: bool) -> Tensor:
    """One signed step from noise, example by example, nothing held to the ball."""
    (images, labels), model = batch(), network().train(training)
    torch.manual_seed(7)
    drawn = torch.empty(9, 6, 6, 1, dtype=torch.float64).uniform_(-noise * eps, noise * eps)
    start = (images + drawn.permute(0, 3, 1, 2)).clamp(0, 1).requires_grad_(True)
    p = model(start).exp()
    loss = -(p[torch.arange(9), labels] / p.sum(1)).log().sum()
    (gradient,) = torch.autograd.grad(loss, start)
    return (start.detach() + step_size * gradient.sign()).clamp(0, 1)


@pytest.mark.parametrize("craft_in", ["eval", "train"])
@pytest.mark.parametrize(("noise", "step_size"), [(2.0, None), (0.5, 0.03), (0.0, None)])
def test_images_are_one_signed_step_from_the_noise_and_not_held_to_the_ball(
    noise: float, step_size: float | None, craft_in: Any
):
    defense = FastAT(eps=0.1, noise=noise, step_size=step_size, craft_in=craft_in)
    (images, labels), model = batch(), network().train()
    torch.manual_seed(7)
    found = defense.craft(model, images, labels)
    expected = crafted(0.1, step_size or 0.1, noise, craft_in == "train")
    assert torch.allclose(found, expected, atol=1e-12)
    moved = (found - images).abs().max().item()
    assert (moved > 0.1 + 1e-9) == (noise == 2.0)


def test_without_noise_it_trains_on_fgsm():
    images, labels = batch()
    found = FastAT(eps=0.1, noise=0.0).craft(network().train(), images, labels)
    assert torch.equal(found, FGSM(eps=0.1).perturb(network().train(), images, labels))


def test_at_radius_zero_it_is_erm():
    off = loss_and_gradients(FastAT(eps=0.0))
    assert all(map(torch.equal, off, loss_and_gradients(ERM())))


def line(one_step: float, many_steps: float) -> dict[str, float]:
    return {ONE_STEP: one_step, MANY_STEPS: many_steps}


def test_a_fall_under_many_steps_while_one_step_is_withstood_is_a_warning_from_then_on():
    sound = [line(0.30, 0.28), line(0.45, 0.40), line(0.48, 0.41)]
    broken = [*sound, line(0.86, 0.02)]
    assert FastAT().warning(sound) == ""
    told = FastAT().warning(broken)
    assert "catastrophic overfitting in epoch 4: of 128 members 2% withstand PGD-10" in told
    assert "where 41% did before, and 86% withstand one step" in told
    assert "(after the last epoch 40% and 42%)" in FastAT().warning([*broken, line(0.42, 0.40)])


def test_what_falls_under_both_attacks_or_never_stood_is_no_such_warning():
    assert FastAT().warning([line(0.5, 0.4), line(0.12, 0.1)]) == ""  # a rate too high, say
    assert FastAT().warning([line(0.9, 0.0), line(0.9, 0.0)]) == ""
    assert FastAT(watched=0).warning([{"loss_total": 1.0}]) == ""


def test_shares_of_few_examples_may_differ_by_chance():
    """On digits, of 8 or 16 members, these were no catastrophe in the accuracy of all members."""
    for few, before, one_step in ((8, 1, 2), (8, 4, 2), (16, 3, 4)):
        history = [line(before / few, before / few), line(one_step / few, 0.0)]
        assert FastAT(watched=few).warning(history) == ""
    assert FastAT(watched=8).warning([line(1.0, 1.0), line(1.0, 0.0)])
    assert FastAT(watched=128).warning([line(0.3, 0.22), line(0.6, 0.09)])


def test_a_network_that_answers_all_alike_withstands_nothing():
    images, labels = torch.rand(20, 1, 2, 2), torch.arange(20) % 2
    linear = nn.Linear(4, 2)
    nn.init.zeros_(linear.weight)
    constant = nn.Sequential(nn.Flatten(), linear)
    assert set(FastAT(eps=0.1).watch(constant.eval(), images, labels).values()) == {0.0}


def test_under_dp_sgd_the_look_leaves_the_step_alone(place: Workplace, work: Any):
    """Its passes are not recorded as a part of the next step's gradients."""
    weights = []
    for watched in (30, 0):
        private = DPSGD(noise_multiplier=0.5, base=FastAT(eps=0.1, watched=watched))
        epochs = trained(a_run(work, private, epochs=2), place)
        assert (ONE_STEP in epochs[0][0]) == (watched > 0)
        weights.append(epochs[-1][1]["model"].values())
    assert all(map(torch.equal, *weights))


class Masked(nn.Module):
    """Answers 0 at the images as they are and after FGSM's step, and else what noise says."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 2)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)
        self.linear.weight.data[1] = 1e-3  # where the loss of class 0 rises

    def forward(self, images: Tensor) -> Tensor:
        flat = images.flatten(1)
        off = (flat * 20 - (flat * 20).round()).abs().amax(1)  # 0 on the grid of one step
        return self.linear(flat) + torch.stack([0.5 - 10 * off, torch.zeros_like(off)], 1)


def test_the_look_tells_one_step_from_many():
    """FGSM ends on the grid, where the answer is right; a random start does not."""
    images, labels = torch.full((20, 1, 2, 2), 0.5), torch.zeros(20, dtype=torch.int64)
    torch.manual_seed(0)
    found = FastAT(eps=0.1).watch(Masked().eval(), images, labels)
    assert found[ONE_STEP] == 1.0
    assert found[MANY_STEPS] < 0.5


def test_a_run_logs_the_same_look_and_its_warning_is_told_once_and_kept(
    place: Workplace, work: Any, monkeypatch: pytest.MonkeyPatch
):
    run = a_run(work, FastAT(eps=0.1, watched=40), epochs=4)
    whole = trained(run, place)
    again = trained(run, place, state=whole[1][1])
    for ours, theirs in zip(again, whole[2:], strict=True):
        assert {k: v for k, v in ours[0].items() if k != "time_s"} == {
            k: v for k, v in theirs[0].items() if k != "time_s"
        }
    assert all(0 <= metrics[name] <= 1 for metrics, _ in whole for name in (ONE_STEP, MANY_STEPS))
    unwatched = trained(replace(run, defense=FastAT(eps=0.1, watched=0)), place)
    weights = [states[-1][1]["model"].values() for states in (whole, unwatched)]
    assert all(map(torch.equal, *weights)), "to look moves no weight"

    told: list[str] = []
    shares = iter([(0.4, 0.4), (0.9, 0.0), (0.9, 0.0), (0.9, 0.0)])
    monkeypatch.setattr(FastAT, "watch", lambda *_: line(*next(shares)))
    train(run, place._replace(note=told.append))
    assert len(told) == 1
    assert told[0].startswith(f"{run.id}: catastrophic overfitting in epoch 2")
    facts = store.facts(place.store.run(run.id))
    assert facts is not None
    assert facts["warning"] in told[0]
