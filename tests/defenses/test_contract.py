"""Every file in defenses/ is held to the contract, found as the runner finds it."""

import pkgutil
from typing import Any, cast

import pytest
import torch

import defenses
from defenses import Defense, Guarantee, Kit
from tests.made import defense_contract as contract
from tests.made.defense_contract import batch, examples, network

NAMES = [m.name for m in pkgutil.iter_modules(defenses.__path__) if m.name[0] != "_"]


@pytest.mark.parametrize("name", NAMES)
def test_losses_are_finite_and_one_per_example(name: str):
    contract.losses_are_finite_and_one_per_example(name)


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
    contract.every_parameter_gets_a_gradient(name)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_bits(name: str):
    contract.the_same_seed_gives_the_same_bits(name)


@pytest.mark.parametrize("name", NAMES)
def test_examples_meet_exactly_when_the_defense_says_so(name: str):
    contract.examples_meet_exactly_when_it_says_so(name)


@pytest.mark.parametrize("name", NAMES)
def test_a_defense_survives_its_yaml(name: str):
    contract.it_survives_its_yaml(name)


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


def test_an_alarm_needs_a_proof_of_the_weights_and_a_bound_above_it():
    proved = Guarantee(0.5, 1e-5, "proved", "the weights", "by some proof")
    wrong = proved.alarm(0.6)
    assert wrong is not None
    assert "at least 0.6" in wrong
    assert "at most 0.5" in wrong
    assert "by some proof" in wrong
    assert proved.alarm(0.5) is None
    for innocent in (
        proved._replace(status="claimed"),
        proved._replace(status="none", epsilon=None),
        proved._replace(of="one answer"),
    ):
        assert innocent.alarm(9.0) is None
