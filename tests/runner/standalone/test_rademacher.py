import itertools
import math

import numpy as np
import pytest
from scipy.linalg import circulant, expm

from runner.standalone.rademacher import (
    Sampled,
    all_or_some_signs,
    closed_form,
    mean_of,
    noise_factor,
    ratio_of_means,
    sampled_factor,
)
from tests.made.demos import as_matrix, examples


def test_all_signs_are_every_vector_up_to_its_opposite():
    signs, are_all = all_or_some_signs(5, 16, np.random.default_rng(0))
    assert are_all
    both = {tuple(s) for s in np.concatenate([signs, -signs])}
    assert both == set(itertools.product((-1.0, 1.0), repeat=5))
    some, are_all = all_or_some_signs(5, 15, np.random.default_rng(0))
    assert not are_all
    assert some.shape == (15, 5)
    assert set(np.unique(some)) == {-1.0, 1.0}


def test_the_closed_form_for_one_example_and_for_two_opposite_signs():
    x = examples(1, 4)
    value = closed_form(x, np.ones((1, 1)), 0.7, 2.0, 0.5)
    assert value == pytest.approx([0.7 * math.exp(0.7) * math.sqrt(x.sum())])
    twice = np.concatenate([x, x])
    assert closed_form(twice, np.array([[1.0, -1.0]]), 1.0, 1.0, 0.3) == pytest.approx([0.0])


def test_powers_in_the_fourier_basis_are_not_those_of_the_entries():
    """The proof's step x^p(T) = exp(UTp) x^p holds for a diagonal U, and fails for a circulant."""
    x = examples(3, 4)
    for kind, holds in (("diagonal", True), ("circulant", False)):
        U = as_matrix(np.array([0.9, 0.5 + 0.3j, 0.2, 0.1])[: 4 if holds else 3], 4, kind)
        power = (x @ expm(U).T) ** 0.5
        assert np.allclose(power, x**0.5 @ expm(U * 0.5).T) == holds


def test_the_mean_of_noisy_powers_is_the_factor_for_a_circulant_matrix_too():
    """Slow oracle: Euler-Maruyama paths of dx = Ux dt + gamma x dB with one B for all entries."""
    x, gamma, T, p, num_steps = examples(1, 3)[0], 0.8, 1.0, 0.5, 200
    U = circulant([0.5, 0.2, -0.1])
    rng, dt = np.random.default_rng(0), T / num_steps
    paths = np.tile(x, (20_000, 1))
    for _ in range(num_steps):
        dB = math.sqrt(dt) * rng.standard_normal((len(paths), 1))
        paths = paths + dt * paths @ U.T + gamma * paths * dB
    expected = noise_factor(gamma, T, p) * (expm(U * T) @ x) ** p
    assert (paths**p).mean(0) == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize(("gamma", "T", "p"), [(1.0, 1.0, 0.5), (2.0, 0.5, 0.3), (0.0, 1.0, 0.5)])
def test_the_sampled_factor_agrees_with_the_closed_one(gamma: float, T: float, p: float):
    normals = np.random.default_rng(0).standard_normal(100_000)
    value, error = sampled_factor(gamma, T, p, normals)
    assert abs(value - noise_factor(gamma, T, p)) <= 4 * error
    assert (error == 0) == (gamma == 0)


def test_noise_always_lowers_the_complexity_and_gamma_0_leaves_it():
    for T, p in ((1.0, 0.5), (0.1, 0.01), (3.0, 0.99)):
        assert noise_factor(0.0, T, p) == 1
        assert noise_factor(0.5, T, p) < 1
        assert noise_factor(1.0, T, p) < noise_factor(0.5, T, p)


def test_errors_are_those_of_a_mean_of_a_product_and_of_a_ratio():
    values = np.array([1.0, 2.0, 3.0, 6.0])
    assert mean_of(values, exact=False) == (3.0, pytest.approx(values.std(ddof=1) / 2))
    assert mean_of(values, exact=True) == (3.0, 0.0)
    product = Sampled(2.0, 0.1).times(Sampled(5.0, 0.0))
    assert product == (10.0, pytest.approx(0.5))
    assert Sampled(2.0, 0.3).times(Sampled(5.0, 1.0)).standard_error == pytest.approx(2.5)
    ratio = ratio_of_means(3 * values, values, exact=False)
    assert ratio.value == pytest.approx(3)
    assert ratio.standard_error == pytest.approx(0, abs=1e-12)
