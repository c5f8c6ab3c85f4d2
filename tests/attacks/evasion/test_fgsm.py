"""FGSM on a linear model."""

import torch

from attacks.evasion.fgsm import FGSM
from tests.made.linear import batch, best, linear


def test_a_linear_model_is_attacked_at_the_known_optimum():
    model, (images, labels) = linear(), batch()
    moved = FGSM(eps=0.1).perturb(model, images, labels)
    assert torch.allclose(moved, best(model, images, labels, 0.1))
