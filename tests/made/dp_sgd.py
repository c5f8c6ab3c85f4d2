"""DP-SGD over several losses, on one batch of a small residual network."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from attacks.evasion.pgd import PGD
from defenses import Defense, Kit
from defenses.awp import AWP
from defenses.demem import DeMem
from defenses.erm import ERM
from defenses.mart import MART
from defenses.pgd_at import PGDAT
from defenses.trades import TRADES, InnerPGD
from runner.models import ImageShape
from runner.models.resnet import ResNet

SHAPE = ImageShape(3, 8, 8, 4, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
INNER = {"eps": 0.1, "step_size": 0.05, "num_steps": 2}
BASES = {
    "erm": ERM(),
    "pgd_at": PGDAT(attack=PGD(**INNER)),
    "pgd_at in train mode": PGDAT(attack=PGD(**INNER, craft_in="train")),
    "trades": TRADES(attack=InnerPGD(**INNER)),
    "mart": MART(attack=InnerPGD(**INNER)),
    "demem": DeMem(weight=0.0, base=TRADES(attack=InnerPGD(**INNER))),
    "awp": AWP(gamma=0.0, base=PGDAT(attack=PGD(**INNER))),
}
NUM = 20


def network(norm: str = "group") -> nn.Module:
    """A residual network of width 4 for images of 8x8 pixels."""
    torch.manual_seed(0)
    return ResNet(name="resnet8", width=4, norm=norm).build(SHAPE)  # pyright: ignore[reportArgumentType]


def wide() -> nn.Module:
    """Layers whose gradients are kept in factors, and others."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 48, 3, stride=4, padding=1, bias=False), nn.GroupNorm(4, 48), nn.Tanh(),
        nn.Conv2d(48, 48, 3, padding=1), nn.Tanh(), nn.Flatten(), nn.Linear(192, 64), nn.Tanh(),
        nn.Linear(64, 4),
    )  # fmt: skip


def batch() -> tuple[Tensor, Tensor]:
    """Images (NUM, 3, 8, 8) in channels_last, and their labels."""
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(NUM, 3, 8, 8, generator=generator).to(memory_format=torch.channels_last)
    return images, torch.randint(0, 4, (NUM,), generator=generator)


def protected(
    defense: Defense,
    batch_size: int = NUM,
    seed: int = 0,
    make_model: Callable[[], nn.Module] = network,
) -> Kit:
    """A kit of one epoch over all examples, laid out in memory as the loop does it."""
    model = defense.build(make_model).train()
    for p in model.parameters():
        if p.ndim == 4:
            p.data = p.data.to(memory_format=torch.channels_last)
    everyone = torch.arange(NUM)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    kit = Kit(model, optimizer, lambda epoch: [[everyone]], everyone, batch_size, seed)
    return defense.protect(kit)


def backward(defense: Defense, kit: Kit, part: Tensor, scale: float = 1.0) -> None:
    """What the loop does with a part, up to the step."""
    images, labels = batch()
    kit.optimizer.zero_grad(set_to_none=True)
    losses = defense.losses(kit.model, images[part], labels[part])
    (scale * losses.total.sum() / len(part)).backward()


def each_gradient(base: Defense) -> list[Tensor]:
    """Each example's gradient by autograd alone, (n, *shape) of each parameter."""
    model = network().train()
    images, labels = batch()
    torch.manual_seed(2)
    total = base.losses(model, images, labels).total
    rows = [torch.autograd.grad(t, [*model.parameters()], retain_graph=True) for t in total]
    return [torch.stack(column) for column in zip(*rows, strict=True)]
