"""What every defense is held to, on a small residual network.

The functions that take a name check every example in the docstring of the defense of that name.
"""

import inspect
from collections import OrderedDict

import torch
from torch import nn

from attacks.by_name import find
from defenses import Defense
from runner.experiment.config import parse


def examples(name: str) -> list[Defense]:
    """The defenses that the `YAML:` lines of its docstring describe."""
    found = find("defenses", name, Defense)
    _, *texts = (inspect.getdoc(found) or "").split("YAML:")
    assert texts, f"the docstring of {found.__name__} has no `YAML:` example"
    return [found.model_validate(parse(text)) for text in texts]


class Sum(nn.Module):
    """The end of a residual block, as a module that a defense can replace."""

    def forward(self, shortcut: torch.Tensor, mapping: torch.Tensor) -> torch.Tensor:
        return shortcut + mapping


class Block(nn.Module):
    """A residual block."""

    def __init__(self) -> None:
        super().__init__()
        self.mapping = nn.Conv2d(8, 8, 3, padding=1)
        self.join = Sum()

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.join(features, self.mapping(features))


def network() -> nn.Module:
    """A small residual network with GroupNorm, whose examples do not meet each other."""
    torch.manual_seed(0)
    layers = {
        "normalize": nn.Identity(),
        "stem": nn.Conv2d(1, 8, 3, padding=1),
        "norm": nn.GroupNorm(2, 8),
        "relu": nn.ReLU(),
        "block": Block(),
        "flatten": nn.Flatten(),
        "linear": nn.Linear(512, 4),
    }
    return nn.Sequential(OrderedDict(layers))


def batch(n: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    """Images of the network's size, (n, 1, 8, 8), and their labels."""
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(n, 1, 8, 8, generator=generator)
    return images, torch.randint(0, 4, (n,), generator=generator)


def gradients(defense: Defense, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Each example's own gradient of its total loss, (n, parameters)."""
    model = defense.build(network).train()
    torch.manual_seed(2)
    total = defense.losses(model, images, labels).total
    rows = [
        torch.cat(
            [g.flatten() for g in torch.autograd.grad(t, [*model.parameters()], retain_graph=True)]
        )
        for t in total
    ]
    return torch.stack(rows)


def losses_are_finite_and_one_per_example(name: str) -> None:
    """Each term that a defense names is there, one number an example."""
    for defense in examples(name):
        images, labels = batch()
        losses = defense.losses(defense.build(network).train(), images, labels)
        given = {term for term, values in losses._asdict().items() if values is not None}
        assert given == defense.terms
        for term in given:
            values = getattr(losses, term)
            assert values.shape == (6,)
            assert torch.isfinite(values).all()


def every_parameter_gets_a_gradient(name: str) -> None:
    """Of the total loss, which leaves the model in train mode."""
    for defense in examples(name):
        model = defense.build(network).train()
        defense.losses(model, *batch()).total.mean().backward()
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())
        assert all(m.training for m in model.modules())


def the_same_seed_gives_the_same_bits(name: str) -> None:
    """Gradients of a defense are the same when they are taken again."""
    for defense in examples(name):
        assert torch.equal(gradients(defense, *batch()), gradients(defense, *batch()))


def examples_meet_exactly_when_it_says_so(name: str) -> None:
    """One example moves the gradients of others if `couples_examples` says so, and else not.

    It is changed a little and a lot, as a defense may look at no more than whether the mean of a
    batch is above some level.
    """
    for defense in examples(name):
        images, labels = batch()
        before, moved = gradients(defense, images, labels), []
        for change in (lambda last: 1 - last, lambda last: 40 * last, lambda last: -40 * last):
            other = images.clone()
            other[-1] = change(other[-1])
            after = gradients(defense, other, labels)
            moved.append((before - after)[:-1].abs().max().item())
        assert (max(moved) > 1e-5) == defense.couples_examples, f"moved by {moved}"


def it_survives_its_yaml(name: str) -> None:
    """A defense is the same when it is written and read."""
    for defense in examples(name):
        assert (
            find("defenses", defense.name, Defense).model_validate(defense.model_dump()) == defense
        )
