"""RelaxLoss against loops over examples, in every kind of epoch and on both sides of alpha."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from defenses.demem import DeMem
from defenses.erm import ERM
from defenses.relaxloss import RelaxLoss
from runner.train.workplace import Workplace
from tests.defenses.oracles import batch, network, probabilities
from tests.made.defenses import gradients, loss_and_gradients
from tests.made.training import a_run, trained


def slow(model: nn.Module, alpha: float, epoch: int, upper: float, fixed: bool) -> Tensor:
    """The mean loss of one step, by probabilities and loops."""
    images, labels = batch()
    rows = [probabilities(logits) for logits in model(images)]
    ce = [-p[y].log() for p, y in zip(rows, labels, strict=True)]
    mean = torch.stack(ce).mean()
    if epoch % 2 == 0:
        return (mean - alpha).abs()
    if mean > alpha:
        return mean
    total = torch.zeros((), dtype=torch.float64)
    for p, own, y in zip(rows, ce, labels.tolist(), strict=True):
        total = total - own
        if max(range(5), key=lambda k, p=p: p[k].item()) != y:
            kept = p[y].clamp(max=upper)
            kept = kept.detach() if fixed else kept
            target = [kept if k == y else (1 - kept) / 4 for k in range(5)]
            total = total - torch.stack([target[k] * p[k].log() for k in range(5)]).sum()
    return total / 9


@pytest.mark.parametrize("detach", [True, False])
@pytest.mark.parametrize(("upper", "epoch"), [(1.0, 0), (1.0, 1), (0.1, 1), (1.0, 4)])
@pytest.mark.parametrize("alpha", [0.3, 4.0])
def test_loss_and_gradient_are_those_of_the_algorithm(
    alpha: float, upper: float, epoch: int, detach: bool
):
    defense = RelaxLoss(alpha=alpha, upper=upper, detach=detach).in_epoch(epoch)
    model, theirs = network().train(), network().train()
    loss = defense.losses(model, *batch()).total.mean()
    expected = slow(theirs, alpha, epoch, upper, detach)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-10)
    pairs = zip(gradients(model, loss), gradients(theirs, expected), strict=True)
    assert all(torch.allclose(a, b, rtol=1e-8, atol=1e-12) for a, b in pairs)


@pytest.mark.parametrize("epoch", [0, 1])
def test_at_alpha_zero_it_is_erm(epoch: int):
    off = RelaxLoss(alpha=0).in_epoch(epoch)
    assert not off.couples_examples
    pairs = zip(loss_and_gradients(off), loss_and_gradients(ERM()), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_a_wrapper_is_told_the_epoch_too():
    base = RelaxLoss(alpha=4.0)
    defense = DeMem(weight=0, base=base)
    for epoch in (0, 1):
        pairs = zip(
            loss_and_gradients(defense.in_epoch(epoch)),
            loss_and_gradients(base.in_epoch(epoch)),
            strict=True,
        )
        assert all(torch.equal(a, b) for a, b in pairs)
    plain = DeMem(weight=0, base=ERM())
    assert plain.in_epoch(3) is plain


def test_a_run_alternates_from_a_checkpoint_on_as_if_never_stopped(place: Workplace, work: Any):
    run = a_run(work, RelaxLoss(alpha=3.0), epochs=4)  # above what it begins with: it climbs
    whole = trained(run, place)
    rest = trained(run, place, state=whole[2][1])
    pairs = zip(whole[-1][1]["model"].values(), rest[-1][1]["model"].values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    natural = [metrics["loss_natural"] for metrics, _ in whole]
    assert max(natural) > 2.4  # undefended it would fall from log 10 = 2.3
