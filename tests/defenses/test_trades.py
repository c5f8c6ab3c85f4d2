"""TRADES' loss and gradients."""

import torch

from defenses.erm import ERM
from defenses.trades import TRADES, InnerPGD
from tests.made.defenses import is_as_stated, loss_and_gradients


def test_trades_at_radius_zero_is_erm_but_for_the_second_batchnorm_pass():
    trades = TRADES(attack=InnerPGD(eps=0.0, step_size=0.05, num_steps=3))
    pairs = zip(loss_and_gradients(trades), loss_and_gradients(ERM()), strict=True)
    assert all(torch.allclose(a, b, rtol=1e-9, atol=1e-14) for a, b in pairs)


def test_the_loss_and_its_gradient_are_what_the_paper_states():
    is_as_stated("trades")
