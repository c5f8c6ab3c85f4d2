"""The search for the supremum, against what it must reach and a grid."""

import numpy as np
import pytest
import torch
from scipy.linalg import expm

from runner.standalone.rademacher import all_or_some_signs, closed_form
from runner.standalone.rademacher_search import KINDS, Problem, suprema
from tests.made.demos import as_matrix, examples


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
