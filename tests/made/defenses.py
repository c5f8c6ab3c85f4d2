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
from tests.defenses.oracles import BETA, GAMMA, INNER

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
