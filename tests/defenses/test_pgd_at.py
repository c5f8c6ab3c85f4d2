"""Adversarial training's loss and gradients."""

import torch

from attacks.evasion.pgd import PGD
from defenses.erm import ERM
from defenses.pgd_at import PGDAT
from tests.made.defenses import is_as_stated, loss_and_gradients


def test_pgd_at_at_radius_zero_is_erm():
    pairs = zip(
        loss_and_gradients(PGDAT(attack=PGD(eps=0.0))), loss_and_gradients(ERM()), strict=True
    )
    assert all(torch.equal(a, b) for a, b in pairs)


def test_the_loss_and_its_gradient_are_what_the_paper_states():
    is_as_stated("pgd_at")
