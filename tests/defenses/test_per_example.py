"""Both engines' gradients of each example, against autograd's."""

from collections.abc import Callable
from typing import Any, Literal, get_args

import pytest
import torch
from torch import nn

from defenses.dp_sgd import DPSGD
from defenses.erm import ERM
from tests.made.dp_sgd import BASES, NUM, backward, batch, each_gradient, network, protected

Engine = Literal["taps", "opacus"]
ENGINES = get_args(Engine)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", BASES)
def test_per_example_gradients_are_autograds_and_crafting_leaves_no_trace(
    name: str, engine: Engine
):
    defense = DPSGD(base=BASES[name], noise_multiplier=0.0, engine=engine)
    kit = protected(defense)
    torch.manual_seed(2)
    backward(defense, kit, torch.arange(NUM))
    for p, slow in zip(kit.model.parameters(), each_gradient(defense.base), strict=True):
        ours: Any = p
        assert ours.grad_sample.shape == slow.shape
        assert torch.allclose(ours.grad_sample, slow, rtol=1e-4, atol=1e-5)
        assert getattr(ours, "_forward_counter", 0) == 0
    for m in kit.model.modules():
        assert not getattr(m, "activations", [])
        assert "forward" not in vars(m)


def pooled_to_one_pixel() -> nn.Module:
    """Images of one pixel are contiguous in both layouts; padded, they are channels_last again."""
    torch.manual_seed(0)
    before, after = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 5, 3, padding=1)
    return nn.Sequential(before, nn.AdaptiveAvgPool2d(1), after, nn.Flatten(), nn.Linear(5, 4))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("make_model", [network, pooled_to_one_pixel])
def test_per_example_gradients_are_those_of_batches_of_one(
    make_model: Callable[[], nn.Module], engine: Engine
):
    kit = protected(DPSGD(noise_multiplier=0.0, engine=engine), make_model=make_model)
    alone = make_model().train()
    backward(ERM(), kit, torch.arange(NUM))
    for i, (image, label) in enumerate(zip(*batch(), strict=True)):
        alone.zero_grad()
        ERM().losses(alone, image[None], label[None]).total.sum().backward()
        for p, q in zip(kit.model.parameters(), alone.parameters(), strict=True):
            ours: Any = p
            assert q.grad is not None
            assert torch.allclose(ours.grad_sample[i], q.grad, rtol=1e-4, atol=3e-5)
