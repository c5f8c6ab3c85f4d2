"""The suprema behind Theorem 3, searched over the function class itself."""

import math
from typing import Literal, NamedTuple

import numpy as np
import torch

Kind = Literal["diagonal", "circulant"]
KINDS: tuple[Kind, ...] = ("diagonal", "circulant")
NUM_STARTS, NUM_STEPS = 8, 150  # ascents, and steps of each
FLOOR = 1e-12  # of an entry that is raised to a power: below it, rounding decides the result


class Problem(NamedTuple):
    """One data set's suprema: x (N, d) and signs (S, N) float64; c, T, p as in the theorem."""

    x: torch.Tensor
    signs: torch.Tensor
    c: float
    T: float
    p: float
    kind: Kind

    def is_real(self) -> torch.Tensor:
        """Return (K,) bool: which eigenvalues are real.

        A diagonal U has d. A real circulant one has d // 2 + 1, in the order of `rfft`, and the
        conjugates of those that are not real.
        """
        d = self.x.shape[1]
        if self.kind == "diagonal":
            return torch.ones(d, dtype=torch.bool)
        k = torch.arange(d // 2 + 1)
        return (k == 0) | (2 * k == d)

    def carry(self, eigenvalues: torch.Tensor) -> torch.Tensor:
        """Return exp(UT) x_i, (S, N, d), for the U of each row of (S, K) eigenvalues."""
        grown = torch.exp(eigenvalues * self.T)[:, None]
        if self.kind == "diagonal":
            return grown.real * self.x
        return torch.fft.irfft(torch.fft.rfft(self.x) * grown, n=self.x.shape[1])

    def values(self, eigenvalues: torch.Tensor) -> torch.Tensor:
        """Return (S,): (c/N) ||v||_2, v = sum_i sigma_i x_i^p(T); -inf where a power is undefined.

        It is the supremum of (1/N) w v over ||w||_2 <= c, which w = c v / ||v|| reaches.
        """
        moved = self.carry(eigenvalues)
        defined = (moved > FLOOR).flatten(1).all(dim=1)
        powers = torch.where(defined[:, None, None], moved, 1.0) ** self.p
        v = torch.einsum("sn,snd->sd", self.signs, powers)
        norms = torch.linalg.vector_norm(v, dim=1)
        return torch.where(defined, norms * (self.c / len(self.x)), -math.inf)


def suprema(
    x: np.ndarray,
    signs: np.ndarray,
    c: float,
    T: float,
    p: float,
    kind: Kind,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the largest (1/N) sum_i sigma_i w x_i^p(T) found for each vector of signs, and its U.

    Projected gradient ascent on the eigenvalues of U, each in its disk of radius c, from cI
    (circulant) or 0 (diagonal) and from random ones. A circulant exp(UT) may make an entry of some
    x_i(T) negative, for which x^p is undefined: U with an entry below FLOOR are refused. Ascent may
    miss the supremum, so each value is a lower bound of it.

    Args:
        x: (N, d) float, positive.
        signs: (S, N) of -1 and 1.

    Returns:
        (S,) float64, and (S, K) complex128 eigenvalues as `Problem.is_real` orders them.
    """
    problem = Problem(torch.from_numpy(x), torch.from_numpy(signs), c, T, p, kind)
    real = problem.is_real().numpy()
    shape = (len(signs), len(real))
    sure = np.full(shape, c if kind == "circulant" else 0, dtype=np.complex128)
    best, at = _ascend(problem, torch.from_numpy(sure))
    for _ in range(NUM_STARTS - 1):
        drawn = c * np.sqrt(rng.uniform(size=shape)) * np.exp(2j * np.pi * rng.uniform(size=shape))
        weight = rng.uniform(size=(len(signs), 1))  # small ones keep the powers defined
        start = (1 - weight) * sure + weight * np.where(real, drawn.real, drawn)
        values, found = _ascend(problem, torch.from_numpy(start))
        better = values > best
        best, at = torch.where(better, values, best), torch.where(better[:, None], found, at)
    return best.numpy(), at.numpy()


def _ascend(problem: Problem, start: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Take only steps to a better and defined point; each row has a step size of its own."""
    at, best, real = start, problem.values(start), problem.is_real()
    step = torch.full((len(start), 1), problem.c / 4, dtype=torch.float64)
    for _ in range(NUM_STEPS):
        moving = at.clone().requires_grad_()
        (slope,) = torch.autograd.grad(problem.values(moving).sum(), moving)
        slope = torch.where(real, slope.real + 0j, slope)
        # the disks are separate, so each eigenvalue may step equally far, however flat its slope
        tried = at + step * slope / slope.abs().clamp_min(1e-300)
        tried = tried * (problem.c / tried.abs().clamp_min(problem.c))
        values = problem.values(tried)
        better = values > best
        best, at = torch.where(better, values, best), torch.where(better[:, None], tried, at)
        step = torch.where(better[:, None], step * 1.3, step / 2)
    return best, at
