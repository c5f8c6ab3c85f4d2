"""DeMem's penalty against loops over examples, for every loss that it can be taken over."""

import pytest
import torch
from torch import Tensor

from defenses import Defense
from defenses.demem import DeMem
from defenses.erm import ERM
from tests.defenses.oracles import batch, network, slow
from tests.made.defenses import DEFENSES, PGD_AT, gradients, loss_and_gradients

CASES = [(name, on) for name, base in DEFENSES.items() for on in sorted(base.terms)]
WEIGHT = 0.3


@pytest.mark.parametrize("normaliser", ["n", "n-1"])
@pytest.mark.parametrize(("name", "on"), CASES)
def test_loss_and_gradient_have_the_variance_of_the_chosen_loss_added(
    name: str, on: str, normaliser: str
):
    """Of the variance sum (c - mean)^2 / m, the gradient is sum 2 (c - mean) dc / m."""
    slow_model, losses = slow(name)
    total, chosen = losses["total"], losses[on]
    n, divisor = len(total), len(total) - (normaliser == "n-1")
    mean = sum(c.item() for c in chosen) / n
    expected = sum(t.item() for t in total) / n
    expected_gradients = [torch.zeros_like(p) for p in slow_model.parameters()]
    for t, c in zip(total, chosen, strict=True):
        away = c.item() - mean
        expected += WEIGHT * away**2 / divisor
        both = zip(gradients(slow_model, t), gradients(slow_model, c), strict=True)
        for sums, (of_total, of_chosen) in zip(expected_gradients, both, strict=True):
            sums += of_total / n + WEIGHT * 2 * away * of_chosen / divisor

    defense = DeMem.model_validate(
        {"weight": WEIGHT, "on": on, "normaliser": normaliser, "base": DEFENSES[name]}
    )
    model = network().train()
    torch.manual_seed(7)
    loss = defense.losses(model, *batch()).total.mean()
    assert loss.item() == pytest.approx(expected, rel=1e-10)
    for ours, theirs in zip(gradients(model, loss), expected_gradients, strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-8, atol=1e-12)


def test_over_a_base_without_that_loss_it_is_refused():
    with pytest.raises(ValueError, match="unknown loss of erm 'adversarial'"):
        DeMem(on="adversarial", base=ERM())


def test_of_one_example_it_adds_nothing():
    images, labels = batch()
    model = network().eval()

    def total(defense) -> Tensor:
        return defense.losses(model, images[:1], labels[:1]).total

    assert torch.equal(total(DeMem(weight=9.0, normaliser="n-1", base=ERM())), total(ERM()))


@pytest.mark.parametrize("base", [PGD_AT, DEFENSES["trades"], DEFENSES["mart"]])
def test_demem_that_is_switched_off_is_its_base(base: Defense):
    off = DeMem(weight=0, base=base)
    pairs = zip(loss_and_gradients(off), loss_and_gradients(base), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
