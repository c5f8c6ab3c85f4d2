"""Every file in defenses/ is held to the contract, found as the runner finds it."""

import inspect
import pkgutil
from collections import OrderedDict
from typing import Any, cast

import pytest
import torch
from torch import nn

import defenses
from attacks.by_name import find
from defenses import Defense, Kit
from runner.config import parse

NAMES = [m.name for m in pkgutil.iter_modules(defenses.__path__) if m.name[0] != "_"]


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


@pytest.mark.parametrize("name", NAMES)
def test_losses_are_finite_and_one_per_example(name: str):
    for defense in examples(name):
        images, labels = batch()
        losses = defense.losses(defense.build(network).train(), images, labels)
        given = {term for term, values in losses._asdict().items() if values is not None}
        assert given == defense.terms
        for term in given:
            values = getattr(losses, term)
            assert values.shape == (6,)
            assert torch.isfinite(values).all()


@pytest.mark.parametrize("name", NAMES)
def test_losses_are_those_at_the_images_that_are_crafted(name: str):
    for defense in examples(name):
        assert type(defense).losses is Defense.losses, "override craft and losses_at"
        model, (images, labels) = defense.build(network).train(), batch()
        torch.manual_seed(2)
        crafted = defense.craft(model, images, labels)
        losses = defense.losses_at(model, images, crafted, labels)
        assert crafted.shape == images.shape
        assert 0 <= crafted.min() <= crafted.max() <= 1
        assert torch.equal(crafted, images) == ("adversarial" not in defense.terms)
        assert not crafted.requires_grad
        assert all(m.training for m in model.modules())
        torch.manual_seed(2)
        assert torch.equal(defense.losses(model, images, labels).total, losses.total)


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_gets_a_gradient_and_the_model_stays_in_train_mode(name: str):
    for defense in examples(name):
        model = defense.build(network).train()
        defense.losses(model, *batch()).total.mean().backward()
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())
        assert all(m.training for m in model.modules())


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_bits(name: str):
    for defense in examples(name):
        assert torch.equal(gradients(defense, *batch()), gradients(defense, *batch()))


@pytest.mark.parametrize("name", NAMES)
def test_examples_meet_exactly_when_the_defense_says_so(name: str):
    for defense in examples(name):
        images, labels = batch()
        other = images.clone()
        other[-1] = 1 - other[-1]
        before, after = gradients(defense, images, labels), gradients(defense, other, labels)
        moved = (before - after)[:-1].abs().max().item()
        assert (moved > 1e-5) == defense.couples_examples, f"moved by {moved}"


@pytest.mark.parametrize("name", NAMES)
def test_a_defense_survives_its_yaml(name: str):
    for defense in examples(name):
        assert (
            find("defenses", defense.name, Defense).model_validate(defense.model_dump()) == defense
        )


def weights_after_a_step(
    defense: Defense, images: torch.Tensor, labels: torch.Tensor
) -> torch.Tensor:
    """All weights after one step with learning rate 1, whose batch is everyone."""
    model = cast(Any, defense.build(network).train()).to(memory_format=torch.channels_last)
    everyone = torch.arange(len(images))
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    kit = Kit(model, optimizer, lambda epoch: [[everyone]], everyone, len(images), 0)
    kit = defense.protect(kit)
    torch.manual_seed(3)
    for parts in kit.steps(0):
        for part in parts:
            kit.optimizer.zero_grad(set_to_none=True)
            losses = defense.losses(kit.model, images[part], labels[part])
            (losses.total.sum() / len(part)).backward()
            kit.optimizer.step()
    return torch.cat([p.detach().flatten() for p in model.parameters()])


@pytest.mark.parametrize("name", [n for n in NAMES if examples(n)[0].per_example_steps])
def test_one_example_moves_a_clipped_sum_by_at_most_twice_the_clipping_norm(name: str):
    for given in examples(name):
        images, labels = batch()
        defense = given.resolved(10 * len(images), len(images), epochs=1)
        images = images.to(memory_format=torch.channels_last)
        other_images, other_labels = images.clone(), labels.clone()
        other_images[-1], other_labels[-1] = 1 - images[-1], (labels[-1] + 1) % 4
        before = weights_after_a_step(defense, images, labels)
        after = weights_after_a_step(defense, other_images, other_labels)
        moved = (before - after).norm().item() * len(images)  # the noise is the same and cancels
        clip = cast(Any, defense).max_grad_norm
        assert 0.1 * clip < moved <= 2 * clip * (1 + 1e-5)
