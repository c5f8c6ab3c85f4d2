"""The defenses that the slow counterparts in tests/defenses/oracles.py speak of."""

import torch
from torch import Tensor, nn

from attacks.evasion.pgd import PGD
from defenses import Defense
from defenses.awp import AWP
from defenses.erm import ERM
from defenses.mart import MART
from defenses.pgd_at import PGDAT
from defenses.trades import TRADES, InnerPGD
from tests.defenses.oracles import BETA, GAMMA, INNER, batch, network, slow

PGD_AT = PGDAT(attack=PGD(**INNER))
DEFENSES: dict[str, Defense] = {
    "erm": ERM(),
    "pgd_at": PGD_AT,
    "trades": TRADES(beta=BETA, attack=InnerPGD(**INNER)),
    "mart": MART(beta=BETA, attack=InnerPGD(**INNER)),
    "awp": AWP(gamma=GAMMA, base=PGD_AT),
}


def gradients(model: nn.Module, loss: Tensor) -> list[Tensor]:
    """Of a loss by each parameter."""
    return list(torch.autograd.grad(loss, list(model.parameters()), retain_graph=True))


def loss_and_gradients(defense: Defense) -> list[Tensor]:
    """The mean total loss after seed 7, and its gradients."""
    model = network().train()
    torch.manual_seed(7)
    loss = defense.losses(model, *batch()).total.mean()
    return [loss.detach(), *gradients(model, loss)]


def is_as_stated(name: str) -> None:
    """Each term's losses and gradients are those of the slow counterpart."""
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
