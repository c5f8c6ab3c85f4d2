"""MART's loss as a function of logits alone: a network that flattens makes the images logits."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from defenses import Losses
from defenses.mart import MART
from defenses.pgd_at import PGDAT
from defenses.trades import InnerPGD
from tests.defenses.oracles import INNER
from tests.made.defenses import is_as_stated, loss_and_gradients


def of_logits(defense: MART, natural: Tensor, adversarial: Tensor, labels: Tensor) -> Losses:
    """The losses where the network answers with these logits, (N, C) each."""
    shape = (*natural.shape, 1, 1)
    return defense.losses_at(nn.Flatten(), natural.view(shape), adversarial.view(shape), labels)


def logits(spread: float) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    drawn = spread * torch.randn(2, 12, 5, generator=generator, dtype=torch.float64)
    return drawn[0], drawn[1], torch.arange(12) % 5


def slow_mart(p: np.ndarray, q: np.ndarray, y: int, beta: float, *, official: bool) -> float:
    """One example's loss from its probabilities (C,); or with the official code's constants."""
    margin, inner, factor = (1e-4 + 1e-12, 1e-12, 1e-7) if official else (0.0, 0.0, 0.0)
    wrong = max(q[k] for k in range(len(q)) if k != y)
    bce = -math.log(q[y]) - math.log(1 - wrong + margin)
    kl = sum(p[k] * (math.log(p[k]) - math.log(q[k] + inner)) for k in range(len(p)))
    return bce + beta * kl * (1 - p[y] + factor)


@pytest.mark.parametrize(("official", "spread", "within"), [(False, 3.0, 1e-12), (True, 1.0, 1e-3)])
def test_the_loss_is_its_formula_and_near_that_of_the_official_code(
    official: bool, spread: float, within: float
):
    natural, adversarial, labels = logits(spread)
    ours = of_logits(MART(beta=5.0), natural, adversarial, labels).total
    p, q = (np.exp(x.numpy()) for x in (natural, adversarial))
    p, q = (x / x.sum(1, keepdims=True) for x in (p, q))
    slow = [slow_mart(p[i], q[i], y, 5.0, official=official) for i, y in enumerate(labels.tolist())]
    assert ours.tolist() == pytest.approx(slow, rel=within)


@pytest.mark.parametrize("boosted", [True, False])
def test_the_gradient_is_that_of_finite_differences_in_both_logits(boosted: bool):
    """So it flows through the target p(x) and the factor 1 - p_y(x) too."""
    natural, adversarial, labels = logits(2.0)

    def loss(natural: Tensor, adversarial: Tensor) -> Tensor:
        return of_logits(MART(boosted=boosted), natural, adversarial, labels).total

    inputs = (natural.requires_grad_(), adversarial.requires_grad_())
    assert torch.autograd.gradcheck(loss, inputs)


def test_loss_and_gradient_stay_finite_when_the_network_is_certain_and_wrong():
    """CE is 1e4; with two equal classes left, the margin is 1e4 - log 2; the factor of the KL 1."""
    certain = torch.tensor([[1e4, 0.0, 0.0]], dtype=torch.float64, requires_grad=True)
    label = torch.tensor([1])
    loss = of_logits(MART(), certain, certain, label).total
    assert loss.item() == pytest.approx(2e4 - math.log(2))
    (gradient,) = torch.autograd.grad(loss.sum(), certain)
    assert gradient.tolist()[0] == pytest.approx([2, -1.5, -0.5])


def test_what_is_right_and_certain_is_asked_nothing_more():
    certain = torch.tensor([[0.0, 1e4, 0.0]], dtype=torch.float64)
    assert of_logits(MART(), certain, certain, torch.tensor([1])).total.item() == 0


def test_with_two_classes_the_margin_is_the_cross_entropy_again():
    natural, adversarial, _ = logits(2.0)
    labels = torch.arange(12) % 2
    losses = of_logits(MART(beta=0), natural[:, :2], adversarial[:, :2], labels)
    assert losses.adversarial is not None
    assert torch.allclose(losses.total, 2 * losses.adversarial, rtol=1e-12)


def test_the_loss_and_its_gradient_are_what_the_paper_states():
    is_as_stated("mart")


def test_mart_without_margin_and_kl_is_pgd_at_on_the_same_attack():
    attack = InnerPGD(**INNER)
    off = MART(beta=0, boosted=False, attack=attack)
    pairs = zip(loss_and_gradients(off), loss_and_gradients(PGDAT(attack=attack)), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
