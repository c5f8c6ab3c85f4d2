"""Noise at one place of a network, measured and against closed forms."""

import math

import pytest
import torch

from defenses._residual_noise import NoisyJoin, Strategy, normal_like
from tests.made.noise import features, has_std, seeded


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_noise_is_standard_normal_in_the_layout_and_type_of_what_it_is_added_to(layout, dtype):
    values = torch.zeros(20, 16, 16, 16, dtype=dtype).to(memory_format=layout)
    noise = seeded(lambda: normal_like(values))
    assert noise.dtype == dtype
    assert noise.stride() == values.stride()
    assert has_std(noise, 1.0)
    assert noise.double().pow(4).mean().item() == pytest.approx(3, abs=4 * math.sqrt(96 / 81920))


def test_strategy_ii_scales_its_noise_by_the_feature_and_leaves_zeros_alone():
    x = features(1000, 200).relu()
    noise = seeded(lambda: NoisyJoin("II", 0.5, 0.0, True)(x, torch.zeros_like(x))) - x
    assert torch.equal(noise[x == 0], torch.zeros_like(noise[x == 0]))
    assert has_std((noise.double() / x)[x > 0.01], 0.5)


def test_an_eta_is_the_smallest_size_that_noise_scales_with():
    x = features(1000, 200).relu()
    noise = seeded(lambda: NoisyJoin("II", 0.5, 0.3, True)(x, torch.zeros_like(x))) - x
    assert has_std(noise[x == 0], 0.5 * 0.3)
    assert has_std(noise[(x > 0) & (x < 0.3)], 0.5 * 0.3)
    assert has_std((noise.double() / x)[x > 0.3], 0.5)


@pytest.mark.parametrize("eta", [0.0, 0.3])
def test_strategy_ii_is_its_formula_in_value_and_gradient(eta: float):
    x, mapping = features(50, 40).double(), features(50, 40, seed=5).double()
    x[0, :9] = 0.0
    n = seeded(lambda: torch.randn(50, 40, dtype=torch.float64))
    sign = torch.where(x < 0, -1.0, 1.0)
    expected = x + mapping + 0.5 * sign * x.abs().clamp(min=eta) * n
    x.requires_grad_(True)
    joined = seeded(lambda: NoisyJoin("II", 0.5, eta, True)(x, mapping))
    assert torch.allclose(joined, expected, rtol=1e-12, atol=1e-14)
    (gradient,) = torch.autograd.grad(joined.sum(), x)
    assert torch.allclose(gradient, 1 + 0.5 * n * ((x.abs() > eta) | (eta == 0)), rtol=1e-12)


def test_enresnet_scales_its_noise_by_the_batch_and_its_gradient_knows():
    x, mapping = features(50, 40).double(), features(50, 40, seed=5).double().requires_grad_(True)
    n, weights = seeded(lambda: torch.randn(50, 40, dtype=torch.float64)), features(50, 40, seed=6)
    joined = seeded(lambda: NoisyJoin("enresnet", 0.1, 0.0, True)(x, mapping))
    total = (x + mapping).detach()
    centred = total - total.sum() / 2000
    std = math.sqrt((centred**2).sum().item() / 1999)
    assert torch.allclose(joined, total + 0.1 * std * n, rtol=1e-12)
    (gradient,) = torch.autograd.grad((weights * joined).sum(), mapping)
    through_std = 0.1 * (weights * n).sum() * centred / (1999 * std)
    assert torch.allclose(gradient, weights + through_std, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("strategy", ["I", "II", "enresnet"])
def test_without_a_skip_connection_the_mapping_and_its_noise_are_left(strategy: Strategy):
    x, mapping = features(500, 40), features(500, 40, seed=5)
    before = torch.get_rng_state()
    assert torch.equal(NoisyJoin(strategy, 0.0, 0.0, False)(x, mapping), mapping)
    assert torch.equal(torch.get_rng_state(), before)
    noise = seeded(lambda: NoisyJoin(strategy, 0.5, 0.0, False)(x, mapping)) - mapping
    size = {"I": torch.ones_like(x), "II": x, "enresnet": mapping.std().expand_as(x)}[strategy]
    assert has_std((noise / size)[size.abs() > 0.01], 0.5)
