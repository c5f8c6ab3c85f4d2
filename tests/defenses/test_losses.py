"""Losses and gradients against slow float64 counterparts on fixed weights; the off switches."""

import pytest
import torch
from torch import Tensor

from attacks.evasion.pgd import PGD
from defenses import Defense
from defenses.awp import AWP
from defenses.demem import DeMem
from defenses.erm import ERM
from defenses.mart import MART
from defenses.pgd_at import PGDAT
from defenses.trades import TRADES, InnerPGD
from tests.defenses.oracles import INNER, batch, network, slow
from tests.made.defenses import DEFENSES, PGD_AT, gradients


def loss_and_gradients(defense: Defense) -> list[Tensor]:
    """The mean total loss after seed 7, and its gradients."""
    model = network().train()
    torch.manual_seed(7)
    loss = defense.losses(model, *batch()).total.mean()
    return [loss.detach(), *gradients(model, loss)]


@pytest.mark.parametrize("name", DEFENSES)
def test_each_loss_and_its_gradient_are_what_the_paper_states(name: str):
    slow_model, expected = slow(name)
    model = network().train()
    torch.manual_seed(7)
    losses = DEFENSES[name].losses(model, *batch())
    for term in DEFENSES[name].terms:
        ours, theirs = getattr(losses, term), torch.stack(expected[term])
        assert torch.allclose(ours, theirs, rtol=1e-10, atol=1e-12)
        pairs = zip(
            gradients(model, ours.mean()), gradients(slow_model, theirs.mean()), strict=True
        )
        assert all(torch.allclose(a, b, rtol=1e-8, atol=1e-12) for a, b in pairs)


@pytest.mark.parametrize("base", [PGD_AT, DEFENSES["trades"], DEFENSES["mart"]])
def test_a_wrapper_that_is_switched_off_is_its_base(base: Defense):
    for off in (DeMem(weight=0, base=base), AWP(gamma=0, base=base)):
        pairs = zip(loss_and_gradients(off), loss_and_gradients(base), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)


def test_trades_at_radius_zero_is_erm_but_for_the_second_batchnorm_pass():
    trades = TRADES(attack=InnerPGD(eps=0.0, step_size=0.05, num_steps=3))
    pairs = zip(loss_and_gradients(trades), loss_and_gradients(ERM()), strict=True)
    assert all(torch.allclose(a, b, rtol=1e-9, atol=1e-14) for a, b in pairs)


def test_pgd_at_at_radius_zero_is_erm():
    pairs = zip(
        loss_and_gradients(PGDAT(attack=PGD(eps=0.0))), loss_and_gradients(ERM()), strict=True
    )
    assert all(torch.equal(a, b) for a, b in pairs)


def test_mart_without_margin_and_kl_is_pgd_at_on_the_same_attack():
    attack = InnerPGD(**INNER)
    off = MART(beta=0, boosted=False, attack=attack)
    pairs = zip(loss_and_gradients(off), loss_and_gradients(PGDAT(attack=attack)), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
