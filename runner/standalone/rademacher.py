"""The closed forms of Theorem 3, about the Rademacher complexity with and without noise.

Source: Tao et al., "Deep Learning with Data Privacy via Residual Perturbation", section V-C. The
class F is x -> w x^p(T) with x(T) = exp(UT) x, ||w||_2 <= c and ||U||_2 <= c; G is its expectation
where 1-D Brownian noise gamma x dB(t) drives x too. Powers are elementwise. Letters: N examples,
d dimensions, S vectors of signs.
"""

import math
from typing import NamedTuple

import numpy as np


class Sampled(NamedTuple):
    """A figure and its standard error, which is 0 where nothing was sampled."""

    value: float
    standard_error: float

    def times(self, other: "Sampled") -> "Sampled":
        """Return the product of two independent estimates, its error to first order."""
        parts = self.value * other.standard_error, other.value * self.standard_error
        return Sampled(self.value * other.value, math.hypot(*parts))


def closed_form(x: np.ndarray, signs: np.ndarray, c: float, T: float, p: float) -> np.ndarray:
    """Return (c/N) exp(cTp) ||sum_i sigma_i x_i^p||_2 for each vector of signs.

    Its mean over all signs is the paper's R(F). It is the supremum over diagonal U; among
    circulant ones it is what U = cI reaches, so there it is a lower bound.

    Args:
        x: (N, d) float, positive.
        signs: (S, N) of -1 and 1.

    Returns:
        (S,) float64.
    """
    return c / len(x) * math.exp(c * T * p) * np.linalg.norm(signs @ x**p, axis=1)


def noise_factor(gamma: float, T: float, p: float) -> float:
    """Return R(G) / R(F) = exp(-p (1 - p) gamma^2 T / 2), whatever the U in question."""
    return math.exp(-p * (1 - p) * gamma**2 * T / 2)


def sampled_factor(gamma: float, T: float, p: float, normals: np.ndarray) -> Sampled:
    """Return the mean of exp(p (gamma B(T) - gamma^2 T / 2)) over draws of B(T).

    Lemma 6's solution is exp(UT) x times one random number, so the factor that noise puts on
    E[x^p(T)] is the mean of that number to the power p.

    Args:
        normals: (number of draws,) standard normal.
    """
    drawn = np.exp(p * (gamma * math.sqrt(T) * normals - gamma**2 * T / 2))
    return mean_of(drawn, exact=False)


def all_or_some_signs(
    num_examples: int, limit: int, rng: np.random.Generator
) -> tuple[np.ndarray, bool]:
    """Return (S, N) signs, and whether they are all of them: so if that makes S <= limit.

    Of two opposite vectors only one is listed, because no supremum here tells them apart.
    """
    if 2 ** (num_examples - 1) <= limit:
        bits = np.arange(2 ** (num_examples - 1))[:, None] >> np.arange(num_examples) & 1
        return 1.0 - 2.0 * bits, True
    return rng.choice([-1.0, 1.0], size=(limit, num_examples)), False


def mean_of(values: np.ndarray, exact: bool) -> Sampled:
    """Return the mean over draws, or over everything there is, which has no error."""
    error = 0.0 if exact else float(values.std(ddof=1) / math.sqrt(len(values)))
    return Sampled(float(values.mean()), error)


def ratio_of_means(values: np.ndarray, over: np.ndarray, exact: bool) -> Sampled:
    """Return mean(values) / mean(over) of paired draws; its error is that of the residuals."""
    ratio = float(values.mean() / over.mean())
    residuals = mean_of(values - ratio * over, exact)
    return Sampled(ratio, residuals.standard_error / float(over.mean()))
