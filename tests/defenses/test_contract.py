"""Every file in defenses/ is held to the contract, found as the runner finds it."""

import inspect
import pkgutil

import pytest
import torch
from torch import nn

import defenses
from attacks.by_name import find
from defenses import Defense
from runner.config import parse

NAMES = [m.name for m in pkgutil.iter_modules(defenses.__path__)]


def example(name: str) -> Defense:
    """The defense that the YAML line of its docstring describes."""
    found = find("defenses", name, Defense)
    _, _, text = (inspect.getdoc(found) or "").partition("YAML:")
    assert text, f"the docstring of {found.__name__} has no `YAML:` example"
    return found.model_validate(parse(text))


def network() -> nn.Module:
    """A small network with GroupNorm, whose examples do not meet each other."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.GroupNorm(2, 8),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(512, 4),
    )


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
    defense = example(name)
    images, labels = batch()
    losses = defense.losses(defense.build(network).train(), images, labels)
    given = {term for term, values in losses._asdict().items() if values is not None}
    assert given == defense.terms
    for term in given:
        values = getattr(losses, term)
        assert values.shape == (6,)
        assert torch.isfinite(values).all()


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_gets_a_gradient_and_the_model_stays_in_train_mode(name: str):
    defense = example(name)
    model = defense.build(network).train()
    defense.losses(model, *batch()).total.mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())
    assert all(m.training for m in model.modules())


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_bits(name: str):
    defense = example(name)
    assert torch.equal(gradients(defense, *batch()), gradients(defense, *batch()))


@pytest.mark.parametrize("name", NAMES)
def test_examples_meet_exactly_when_the_defense_says_so(name: str):
    defense = example(name)
    images, labels = batch()
    other = images.clone()
    other[-1] = 1 - other[-1]
    before, after = gradients(defense, images, labels), gradients(defense, other, labels)
    moved = (before - after)[:-1].abs().max().item()
    assert (moved > 1e-5) == defense.couples_examples, f"moved by {moved}"


@pytest.mark.parametrize("name", NAMES)
def test_a_defense_survives_its_yaml(name: str):
    defense = example(name)
    assert find("defenses", name, Defense).model_validate(defense.model_dump()) == defense
