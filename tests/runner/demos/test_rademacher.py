import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.linalg import circulant, expm

from runner.demos import rademacher_report, rademacher_search
from runner.demos.rademacher import (
    Estimate,
    all_or_some_signs,
    closed_form,
    mean_of,
    noise_factor,
    ratio_of_means,
    sampled_factor,
)
from runner.demos.rademacher_search import KINDS, Problem, suprema
from tests.made.commands import invoke


def examples(num_examples: int, dim: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.05, 1, size=(num_examples, dim))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """One ascent a search: it still starts where the closed form is reached."""
    monkeypatch.setattr(rademacher_search, "NUM_STARTS", 1)


def as_matrix(eigenvalues: np.ndarray, dim: int, kind: str) -> np.ndarray:
    """U itself, from what `suprema` returns for one vector of signs."""
    if kind == "diagonal":
        return np.diag(np.real(eigenvalues))
    return circulant(np.fft.irfft(eigenvalues, n=dim))


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


def test_no_w_of_norm_c_does_better_than_the_norm_and_one_reaches_it():
    problem = Problem(
        torch.from_numpy(examples(6, 3)),
        torch.ones(1, 6, dtype=torch.float64),
        0.8,
        1.0,
        0.5,
        "circulant",
    )
    eigenvalues = torch.tensor([[0.3 + 0j, 0.2 + 0.4j]], dtype=torch.complex128)
    v = (problem.carry(eigenvalues)[0] ** 0.5).sum(0).numpy()
    value = problem.values(eigenvalues).item()
    w = np.random.default_rng(0).normal(size=(100_000, 3))
    w *= 0.8 / np.linalg.norm(w, axis=1, keepdims=True)
    reached = w @ v / 6
    assert reached.max() <= value * (1 + 1e-12)
    assert reached.max() == pytest.approx(value, rel=1e-3)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dim", [1, 4, 5])
def test_what_is_found_is_reached_by_a_matrix_of_the_class(kind, dim: int, quick):
    """The matrix is circulant (or diagonal), real, of norm c or less, and gives the value."""
    x, c, T, p = examples(5, dim), 0.9, 1.3, 0.4
    signs, _ = all_or_some_signs(5, 16, np.random.default_rng(0))
    values, found = suprema(x, signs, c, T, p, kind, np.random.default_rng(0))
    for sigma, value, eigenvalues in zip(signs, values, found, strict=True):
        U = as_matrix(eigenvalues, dim, kind)
        assert np.linalg.norm(U, 2) <= c * (1 + 1e-9)
        moved = x @ expm(U * T).T
        assert (moved > 0).all()
        assert value == pytest.approx(c / 5 * np.linalg.norm(sigma @ moved**p), rel=1e-7)


def test_over_diagonal_matrices_the_closed_form_is_the_supremum(quick):
    x = examples(6, 5)
    signs, _ = all_or_some_signs(6, 32, np.random.default_rng(0))
    for c, T, p in ((1.0, 1.0, 0.5), (0.3, 2.0, 0.9), (3.0, 0.5, 0.1)):
        values, _ = suprema(x, signs, c, T, p, "diagonal", np.random.default_rng(0))
        assert values == pytest.approx(closed_form(x, signs, c, T, p), rel=1e-6)


def test_over_circulant_matrices_the_closed_form_is_too_small_from_three_dimensions_on(quick):
    """cI reaches it. Turning an eigenvalue by a small angle costs its real part the angle squared,
    but moves the value in proportion to the angle, up in one of the two directions.
    """
    signs, _ = all_or_some_signs(6, 32, np.random.default_rng(0))
    for dim in (1, 2, 3, 8):
        x = examples(6, dim)
        closed = closed_form(x, signs, 1.0, 1.0, 0.5)
        values, _ = suprema(x, signs, 1.0, 1.0, 0.5, "circulant", np.random.default_rng(0))
        assert (values >= closed * (1 - 1e-12)).all()
        if dim == 1:
            assert values == pytest.approx(closed, rel=1e-12)
        if dim >= 3:
            assert (values > closed * (1 + 1e-7)).all()
            assert values.mean() > 1.02 * closed.mean()


def test_the_search_finds_what_a_fine_grid_finds():
    """Two dimensions: a circulant U is a + b times the exchange of the two entries."""
    x, c, p = examples(4, 2, seed=3), 1.0, 0.5
    signs, _ = all_or_some_signs(4, 8, np.random.default_rng(0))
    values, _ = suprema(x, signs, c, 1.0, p, "circulant", np.random.default_rng(0))
    problem = Problem(torch.from_numpy(x), torch.from_numpy(signs[:1]), c, 1.0, p, "circulant")
    grid = torch.cartesian_prod(*[torch.linspace(-c, c, 161, dtype=torch.float64)] * 2) + 0j
    for sigma, value in zip(signs, values, strict=True):
        on_grid = problem._replace(signs=torch.from_numpy(sigma)[None].expand(len(grid), -1))
        assert value >= on_grid.values(grid).max().item() * (1 - 5e-3)


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
    product = Estimate(2.0, 0.1).times(Estimate(5.0, 0.0))
    assert product == (10.0, pytest.approx(0.5))
    assert Estimate(2.0, 0.3).times(Estimate(5.0, 1.0)).standard_error == pytest.approx(2.5)
    ratio = ratio_of_means(3 * values, values, exact=False)
    assert ratio.value == pytest.approx(3)
    assert ratio.standard_error == pytest.approx(0, abs=1e-12)


def test_the_same_seed_measures_the_same_and_gamma_alone_leaves_the_noiseless_class(quick):
    first, again, noisier = (
        rademacher_report.measure(3, 4, 1.0, 1.0, 0.5, gamma, 0) for gamma in (1.0, 1.0, 2.0)
    )
    assert first == again
    assert first["at_gamma"]["R(F)"] == noisier["at_gamma"]["R(F)"]
    ratio = noisier["at_gamma"]["R(G) / R(F)"]["closed"]["value"]
    assert ratio == pytest.approx(math.exp(-0.5))


def test_the_command_writes_its_figure_and_what_it_prints(tmp_path: Path, quick):
    out = tmp_path / "out"
    code, printed = invoke(
        "demo", "rademacher", "--dim", "3", "--num-examples", "3", "--out", str(out)
    )
    assert code == 0, printed
    names = {"complexity.png", "complexity.svg", "results.json"}
    assert {path.name for path in out.iterdir()} == names
    facts = json.loads((out / "results.json").read_text())
    assert facts["num_signs_searched"] == 4
    for of in facts["at_gamma"].values():
        assert f"{of['circulant']['value']:.5g}" in printed
    assert facts["curve"][0]["R(F)"]["closed"] == facts["curve"][0]["R(G)"]["closed"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--dim", "0"), "--dim of 1 or more, got 0"),
        (("--num-examples", "0"), "--num-examples of 1 or more"),
        (("--dim", "1000", "--num-examples", "1000"), "times --num-examples"),
        (("--c", "0"), "--c from"),
        (("--T", "-1"), "--T from"),
        (("--c", "1000"), "--c times --T"),
        (("--p", "1"), "--p above 0 and below 1"),
        (("--p", "nan"), "--p above 0 and below 1"),
        (("--gamma", "-1"), "--gamma from 0"),
        (("--seed", "-1"), "--seed of 0 or more"),
    ],
)
def test_bad_input_is_one_message_and_nothing_is_written(arguments, reason, tmp_path: Path):
    out = tmp_path / "out"
    code, printed = invoke("demo", "rademacher", *arguments, "--out", str(out))
    assert code == 2
    assert reason in printed
    assert len(printed.splitlines()) == 1
    assert not out.exists()
