"""The Gaussian mechanism in closed form: epsilon and delta of mu, distance over noise.

Source: Balle and Wang (2018), https://arxiv.org/abs/1805.06530, theorem 8. Steps of which each
holds every example are one such mechanism, of mu = sqrt(steps) / noise multiplier.
"""

import math

from scipy.optimize import brentq
from scipy.special import log_ndtr

UNIT = 2.0**-52
MOST_MU = 1e100  # whose square is a number


def log_delta(mu: float, epsilon: float) -> float:
    """Return the log of delta at an epsilon; what the logs may have lost is added."""
    above, below = (float(log_ndtr(sign * mu / 2 - epsilon / mu)) for sign in (1, -1))
    ratio = epsilon + below - above  # below 0
    ratio -= 4 * UNIT * (epsilon - below - above)
    return above + math.log(-math.expm1(min(ratio, -UNIT)))


def epsilon_of(mu: float, delta: float) -> float:
    """Return epsilon at a delta in (0, 1), rounded up; infinite of a mu beyond MOST_MU."""
    if mu > MOST_MU:
        return math.inf
    wanted = math.log(delta)
    if log_delta(mu, 0.0) <= wanted:
        return 0.0
    high = mu**2 / 2 + mu * math.sqrt(-2 * wanted)
    found = brentq(lambda epsilon: log_delta(mu, epsilon) - wanted, 0.0, high, xtol=1e-14)
    assert isinstance(found, float)
    return found * (1 + 1e-11) + 1e-13
