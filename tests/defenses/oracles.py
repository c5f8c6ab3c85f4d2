"""Slow float64 counterparts of the defenses on one small network: probabilities and loops.

No log_softmax, no library loss, and nothing of the code under test but its random start.
"""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

EPS, STEP, NUM_STEPS = 0.2, 0.05, 3
INNER = {"eps": EPS, "step_size": STEP, "num_steps": NUM_STEPS}
BETA = 6.0
GAMMA = 0.02  # of AWP, over PGD-AT
Each = dict[str, list[Tensor]]  # term -> the loss of each example


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 6, 3), nn.BatchNorm2d(6), nn.Tanh(), nn.Flatten(), nn.Linear(96, 5)
    ).double()


def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(9, 1, 6, 6, generator=generator, dtype=torch.float64)
    return images, torch.arange(9) % 5


def probabilities(logits: Tensor) -> Tensor:
    return logits.exp() / logits.exp().sum()


def divergence(p: Tensor, q: Tensor) -> Tensor:
    return (p * (p / q).log()).sum()


def of_example(name: str, p: Tensor, q: Tensor, y: int) -> dict[str, Tensor]:
    """One example's losses, from its probabilities (C,) at the natural and crafted images."""
    natural, adversarial = -p[y].log(), -q[y].log()
    if name == "erm":
        return {"total": natural, "natural": natural}
    if name in ("pgd_at", "awp"):
        return {"total": adversarial, "adversarial": adversarial}
    total = natural + BETA * divergence(p, q)
    if name == "mart":
        wrong = max((k for k in range(len(q)) if k != y), key=lambda k: q[k].item())
        total = adversarial - (1 - q[wrong]).log() + BETA * divergence(p, q) * (1 - p[y])
    return {"total": total, "natural": natural, "adversarial": adversarial}


def losses_at(name: str, model: nn.Module, images: Tensor, moved: Tensor, labels: Tensor) -> Each:
    """Every example's losses in train mode."""
    natural, adversarial = model(images), model(moved)
    rows = [
        of_example(name, probabilities(a), probabilities(b), int(y))
        for a, b, y in zip(natural, adversarial, labels, strict=True)
    ]
    return {term: [row[term] for row in rows] for term in rows[0]}


def start(images: Tensor, kind: str) -> Tensor:
    """The same random start as the code under test draws after the same seed."""
    buffer = torch.empty(9, 6, 6, 1, dtype=torch.float64)
    if kind == "uniform":
        return (images + buffer.uniform_(-EPS, EPS).permute(0, 3, 1, 2)).clamp(0, 1)
    return images + 0.001 * buffer.normal_().permute(0, 3, 1, 2)


def craft(name: str, model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """What the attack of each defense finds, in eval mode."""
    if name == "erm":
        return images
    model.eval()
    moved = start(images, "uniform" if name in ("pgd_at", "awp") else "normal")
    for _ in range(NUM_STEPS):
        moved = moved.detach().requires_grad_(True)
        natural, adversarial = model(images).softmax(1), model(moved).softmax(1)
        if name == "trades":
            loss = divergence(natural, adversarial)
        else:
            loss = -adversarial[torch.arange(9), labels].log().sum()
        (gradient,) = torch.autograd.grad(loss, moved)
        moved = moved.detach() + STEP * gradient.sign()
        moved = torch.min(torch.max(moved, images - EPS), images + EPS).clamp(0, 1)
    model.train()
    return moved.detach()


def weight_step(model: nn.Module, loss: Callable[[nn.Module], Tensor], gamma: float) -> list:
    """What AWP adds to each parameter, the official way: a step uphill of a copy, made longer."""
    proxy = copy.deepcopy(model).train()
    uphill = torch.optim.SGD(proxy.parameters(), lr=0.01)
    (-loss(proxy)).backward()
    uphill.step()
    steps = []
    for (name, w), p in zip(model.named_parameters(), proxy.parameters(), strict=True):
        difference = (p - w).detach()
        if w.dim() <= 1 or "weight" not in name:
            difference = torch.zeros_like(difference)
        else:
            difference *= gamma * w.detach().norm() / (difference.norm() + 1e-20)
        steps.append(difference)
    return steps


def slow(name: str) -> tuple[nn.Module, Each]:
    """Every example's losses of a defense after seed 7, and the model that their gradient is at."""
    torch.manual_seed(7)
    images, labels = batch()
    model = network()
    torch.manual_seed(7)
    moved = craft(name, model, images, labels)
    if name == "awp":

        def loss(proxy: nn.Module) -> Tensor:
            return torch.stack(losses_at(name, proxy, images, moved, labels)["total"]).mean()

        for p, step in zip(model.parameters(), weight_step(model, loss, GAMMA), strict=True):
            p.data += step
    return model, losses_at(name, model, images, moved, labels)
