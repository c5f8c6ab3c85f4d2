"""Gaussian noise in closed form: delta, epsilon and mu, distance over noise, of each other.

Source: Balle and Wang (2018), https://arxiv.org/abs/1805.06530, theorem 8: delta is
P(Z > a) - exp(epsilon) P(Z > a + mu) at a = epsilon / mu - mu / 2. Steps of which each holds every
example are one such noise, of mu = sqrt(steps) / noise multiplier.
"""

import math
from typing import Literal

from scipy.optimize import brentq
from scipy.special import log_ndtr

Rounded = Literal[-1, 0, 1]  # 1: up, as what is proved is; -1: down, as what trials show is

UNIT = 2.0**-52
MOST_MU = 1e100  # whose square is a number


def log_delta(mu: float, epsilon: float, rounded: Rounded = 0) -> float:
    """Return the log of the smallest delta at an epsilon, with what its logs may have lost.

    Args:
        mu: above 0.
        epsilon: 0 or more.
    """
    above, below = (float(log_ndtr(sign * mu / 2 - epsilon / mu)) for sign in (1, -1))
    ratio = epsilon + below - above  # below 0
    ratio -= rounded * 4 * UNIT * (epsilon - below - above)
    if rounded < 0 and ratio >= 0:
        return -math.inf
    return above + math.log(-math.expm1(min(ratio, -UNIT)))


def epsilon_of(mu: float, delta: float, rounded: Rounded = 0) -> float:
    """Return the smallest epsilon at a delta; infinite of a mu beyond MOST_MU, or a delta of 0.

    Raises:
        ValueError: mu is below 0, or delta not in [0, 1).
    """
    if not (mu >= 0 and 0 <= delta < 1):
        raise ValueError(f"expected mu of 0 or more and delta in [0, 1), got {mu} and {delta}")
    if mu == 0:
        return 0.0
    if mu > MOST_MU or delta == 0:
        return math.inf
    wanted = math.log(delta)
    if log_delta(mu, 0.0, rounded) <= wanted:
        return 0.0
    high = mu**2 / 2 + mu * math.sqrt(-2 * wanted)
    found = brentq(lambda epsilon: log_delta(mu, epsilon, rounded) - wanted, 0.0, high, xtol=1e-14)
    assert isinstance(found, float)
    return max(found * (1 + rounded * 1e-11) + rounded * 1e-13, 0.0)


def mu_of(epsilon: float, delta: float) -> float:
    """Return the largest mu whose noise has this epsilon at a delta above 0, or less."""
    wanted = math.log(delta)
    low = high = 1.0
    while log_delta(low, epsilon) > wanted:
        low /= 2
    while log_delta(high, epsilon) <= wanted:
        high *= 2
    found = brentq(lambda mu: log_delta(mu, epsilon) - wanted, low, high, xtol=1e-14)
    assert isinstance(found, float)
    return found
