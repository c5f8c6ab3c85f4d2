"""Losses and gradients against independent float64 implementations, on fixed weights."""

import pytest
import torch
from torch import Tensor, nn

from attacks.evasion.pgd import PGD
from defenses import Defense
from defenses.demem import DeMem
from defenses.erm import ERM
from defenses.pgd_at import PGDAT
from defenses.trades import TRADES, InnerPGD


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 6, 3), nn.BatchNorm2d(6), nn.Tanh(), nn.Flatten(), nn.Linear(96, 5)
    ).double()


def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(9, 1, 6, 6, generator=generator, dtype=torch.float64)
    return images, torch.arange(9) % 5


def start(images: Tensor, kind: str, eps: float) -> Tensor:
    """The same random start as the code under test draws after the same seed."""
    buffer = torch.empty(9, 6, 6, 1, dtype=torch.float64)
    noise = buffer.uniform_(-eps, eps) if kind == "uniform" else 0.001 * buffer.normal_()
    return images + noise.permute(0, 3, 1, 2)


def slow_trades(
    model: nn.Module, images: Tensor, labels: Tensor, beta: float, eps: float
) -> Tensor:
    """TRADES as its paper states it, in probabilities: no log_softmax, no kl_div."""

    def divergence(p: Tensor, q: Tensor) -> Tensor:
        return (p * (p / q).log()).sum()

    model.eval()
    moved = start(images, "normal", eps)
    for _ in range(3):
        moved = moved.detach().requires_grad_(True)
        divergence(model(images).softmax(1), model(moved).softmax(1)).backward()
        moved = moved.detach() + 0.05 * moved.grad.sign()  # pyright: ignore[reportOptionalMemberAccess]
        moved = torch.min(torch.max(moved, images - eps), images + eps).clamp(0, 1)
    model.train()
    model.zero_grad()
    natural = model(images).softmax(1)
    adversarial = model(moved.detach()).softmax(1)
    ce = -natural[torch.arange(9), labels].log().sum() / 9
    return ce + beta * divergence(natural, adversarial) / 9


def slow_pgd(model: nn.Module, images: Tensor, labels: Tensor, eps: float) -> Tensor:
    """Each example's cross-entropy at its PGD image."""
    model.eval()
    moved = start(images, "uniform", eps).clamp(0, 1)
    for _ in range(3):
        moved = moved.detach().requires_grad_(True)
        (-model(moved).softmax(1)[torch.arange(9), labels].log().sum()).backward()
        moved = moved.detach() + 0.05 * moved.grad.sign()  # pyright: ignore[reportOptionalMemberAccess]
        moved = torch.min(torch.max(moved, images - eps), images + eps).clamp(0, 1)
    model.train()
    model.zero_grad()
    return -model(moved.detach()).softmax(1)[torch.arange(9), labels].log()


def gradients(model: nn.Module, loss: Tensor) -> list[Tensor]:
    return list(torch.autograd.grad(loss, list(model.parameters())))


def agree(defense: Defense, slow: Tensor, slow_model: nn.Module) -> None:
    """The defense's mean loss and every gradient equal the slow ones."""
    torch.manual_seed(7)
    model = network().train()
    loss = defense.losses(model, *batch()).total.mean()
    assert loss.item() == pytest.approx(slow.item(), rel=1e-10)
    for ours, theirs in zip(gradients(model, loss), gradients(slow_model, slow), strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-8, atol=1e-12)


INNER = {"eps": 0.2, "step_size": 0.05, "num_steps": 3}


def test_trades_is_what_its_paper_states():
    torch.manual_seed(7)
    model = network()
    slow = slow_trades(model, *batch(), beta=6.0, eps=0.2)
    agree(TRADES(beta=6.0, attack=InnerPGD(**INNER)), slow, model)


def test_pgd_at_is_cross_entropy_at_the_adversarial_images():
    torch.manual_seed(7)
    model = network()
    slow = slow_pgd(model, *batch(), eps=0.2).mean()
    agree(PGDAT(attack=PGD(**INNER)), slow, model)


@pytest.mark.parametrize("normaliser", ["n", "n-1"])
def test_demem_adds_the_weighted_variance_of_the_chosen_loss(normaliser: str):
    torch.manual_seed(7)
    model = network()
    losses = slow_pgd(model, *batch(), eps=0.2)
    slow = losses.mean() + 0.3 * losses.var(correction=1 if normaliser == "n-1" else 0)
    base = PGDAT(attack=PGD(**INNER))
    agree(DeMem(weight=0.3, normaliser=normaliser, on="adversarial", base=base), slow, model)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("on", ["total", "natural", "adversarial"])
def test_demem_penalises_the_loss_that_on_names(on: str):
    base = TRADES(attack=InnerPGD(**INNER))
    torch.manual_seed(7)
    losses = base.losses(network().train(), *batch())
    expected = losses.total.mean() + 0.5 * getattr(losses, on).var(correction=0)
    torch.manual_seed(7)
    penalised = DeMem(weight=0.5, on=on, base=base).losses(network().train(), *batch())  # pyright: ignore[reportArgumentType]
    assert penalised.total.mean().item() == pytest.approx(expected.item(), rel=1e-10)


def test_demem_at_weight_zero_is_its_base():
    base = PGDAT(attack=PGD(**INNER))

    def bits(defense: Defense) -> list[Tensor]:
        torch.manual_seed(7)
        model = network().train()
        loss = defense.losses(model, *batch()).total.mean()
        return [loss, *gradients(model, loss)]

    pairs = zip(bits(DeMem(weight=0.0, base=base)), bits(base), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_trades_at_radius_zero_is_erm_but_for_the_second_batchnorm_pass():
    model = network().train()
    trades = TRADES(attack=InnerPGD(eps=0.0, step_size=0.05, num_steps=3))
    loss = trades.losses(model, *batch()).total.mean()
    plain = network().train()
    erm = ERM().losses(plain, *batch()).total.mean()
    assert loss.item() == pytest.approx(erm.item(), rel=1e-12)
    for ours, theirs in zip(gradients(model, loss), gradients(plain, erm), strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-9, atol=1e-14)


def test_pgd_at_at_radius_zero_is_erm():
    defense = PGDAT(attack=PGD(eps=0.0))
    loss = defense.losses(network().train(), *batch()).total
    assert torch.equal(loss, ERM().losses(network().train(), *batch()).total)


def test_demem_over_a_base_without_that_loss_is_refused():
    with pytest.raises(ValueError, match="unknown loss of erm 'adversarial'"):
        DeMem(on="adversarial", base=ERM())


def test_demem_of_one_example_adds_nothing():
    images, labels = batch()
    model = network().eval()
    one = DeMem(weight=9.0, normaliser="n-1", base=ERM()).losses(model, images[:1], labels[:1])
    assert torch.equal(one.total, ERM().losses(model, images[:1], labels[:1]).total)
