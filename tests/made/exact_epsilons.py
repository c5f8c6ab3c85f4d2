"""Epsilon of the Poisson-subsampled Gaussian mechanism by itself, at a delta as small as 1e-30.

Nothing here is Opacus's or the project's. Its error is below 1e-6, and far below where epsilon is
not tiny: `tests/defenses/test_accounting.py` holds it to closed forms and to quadrature with many
digits. As a command it draws 200 settings and writes exact_epsilons.json beside this file, in 80 s
of one core:

    python tests/made/exact_epsilons.py
"""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.fft import irfft, rfft
from scipy.optimize import brentq

STORED = Path(__file__).with_suffix(".json")
POINTS = 2**18  # of the grid that sums of losses are on, and of the integral over what a step tells
FINE = 2**20  # the same, of the stored values
TAIL = 1e-16  # of the tilted sum, that may lie outside the grid


class Setting(NamedTuple):
    """What epsilon is asked of."""

    noise_multiplier: float
    sample_rate: float
    num_steps: int
    delta: float


def exact_epsilon(setting: Setting, points: int = POINTS) -> float:
    """Return the larger epsilon of the two directions, an example removed and one added; 0 if none.

    The pair N(0, s^2) and its mixture with N(1, s^2) dominates both: Zhu, Dong and Wang (2022),
    https://arxiv.org/abs/2106.08567, proposition 30. An example that is added costs a step no
    more than -log(1 - q), and is left out where that settles it.
    """
    found = _epsilon(setting, True, points)
    rate, most = setting.sample_rate, math.inf
    if rate < 1:
        most = -setting.num_steps * math.log1p(-rate)
    return found if most <= found else max(found, _epsilon(setting, False, points))


def drawn(num_settings: int, seed: int = 0) -> list[Setting]:
    """Settings of noise 0.6 to 4, rate 1e-3 to 0.3, 1 to 20,000 steps, delta 1e-14 to 1e-5.

    Rate, steps and delta are uniform in their logarithms.
    """
    random = np.random.default_rng(seed)
    found = []
    for noise, *logs in random.uniform(
        (0.6, -3, 0, -14), (4, -0.523, 4.301, -5), (num_settings, 4)
    ):
        rate, steps, delta = (float(f"{10**x:.4g}") for x in logs)
        found.append(Setting(round(float(noise), 3), rate, round(steps), delta))
    return found


def stored() -> list[tuple[Setting, float]]:
    """The settings of the stored file, each with its epsilon."""
    return [(Setting(*setting), epsilon) for *setting, epsilon in json.loads(STORED.read_text())]


def _epsilon(setting: Setting, removed: bool, points: int) -> float:
    """Epsilon of one direction.

    With L the sum of the steps' losses, delta = E (1 - exp(epsilon - L))+ is the far tail of L,
    which a convolution in float64 drowns in its rounding. So the losses are convolved under the
    measure that is tilted by exp(tilt L), in whose middle epsilon lies: rounding is then relative
    to what is asked for. Each node's mass is laid on four points of the grid, as Lagrange's cubic
    has it, which keeps three moments of a step's loss.
    """
    n, delta = setting.num_steps, setting.delta
    tilt = _tilt(setting, removed)
    losses, log_weights = _step(setting, removed, tilt, points)
    total = _log_sum(log_weights)  # the log of E exp(tilt loss), of one step
    low, high = (_reach(setting, removed, tilt, side) for side in (-1, 1))
    width = (high - low) / points
    cells = losses / width
    base = np.floor(cells).astype(np.int64)
    u, mass = cells - base, np.exp(log_weights - total)
    cubic = {
        -1: -u * (u - 1) * (u - 2) / 6,
        0: (u + 1) * (u - 1) * (u - 2) / 2,
        1: -(u + 1) * u * (u - 2) / 2,
        2: (u + 1) * u * (u - 1) / 6,
    }
    step = sum(np.bincount((base + k) % points, mass * w, points) for k, w in cubic.items())
    tilted = irfft(rfft(step) ** n, points)
    first = math.floor(low / width)  # the grid is a circle: it is cut where the sum cannot be
    numbers = first + np.arange(points)
    sums, tilted = numbers * width, tilted[numbers % points]

    def excess(epsilon: float) -> float:
        above = sums > epsilon
        over = sums[above] - epsilon
        share = float(np.sum(tilted[above] * np.exp(-tilt * over) * -np.expm1(-over)))
        if share <= 0:
            return -1e9
        return n * total - tilt * epsilon + math.log(share) - math.log(delta)

    _, mean, variance = _moments(setting, removed, tilt)
    start = max(0.0, n * mean - 4 * math.sqrt(n * variance))
    if excess(start) <= 0:
        return 0.0
    return _root(excess, start, high - 2 * width, 1e-12)


def _step(
    setting: Setting, removed: bool, tilt: float, nodes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Losses of one step at equally spaced nodes, and the log of each node's tilted mass.

    The sum over nodes is the trapezoid rule of a smooth function that vanishes at both ends.
    """
    s, q = setting.noise_multiplier, setting.sample_rate
    power = 1 + tilt if removed else -tilt  # of the ratio of densities, under N(0, s^2)

    def at(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        ratio = (2 * x - 1) / (2 * s**2)
        if q < 1:
            ratio = np.logaddexp(math.log1p(-q), math.log(q) + ratio)
        return (ratio if removed else -ratio), power * ratio - x**2 / (2 * s**2)

    coarse = np.linspace(min(0, power) - 10 * s, max(0, power) + 10 * s, 2**14)
    log_mass = at(coarse)[1]
    (heavy,) = np.nonzero(log_mass > log_mass.max() - 45)
    x = np.linspace(coarse[max(heavy[0] - 1, 0)], coarse[min(heavy[-1] + 1, 2**14 - 1)], nodes)
    losses, log_mass = at(x)
    return losses, log_mass + math.log((x[1] - x[0]) / s / math.sqrt(2 * math.pi))


def _moments(setting: Setting, removed: bool, tilt: float) -> tuple[float, float, float]:
    """The log of E exp(tilt loss) of one step, and the loss's mean and variance when tilted."""
    losses, log_mass = _step(setting, removed, tilt, 4096)
    total = _log_sum(log_mass)
    mass = np.exp(log_mass - total)
    mean = float(mass @ losses)
    return total, mean, float(mass @ (losses - mean) ** 2)


def _tilt(setting: Setting, removed: bool) -> float:
    """The tilt at which the sum's mean is about epsilon, by the saddle point of delta."""
    n = setting.num_steps

    def excess(log_tilt: float) -> float:
        tilt = math.exp(log_tilt)
        total, mean, variance = _moments(setting, removed, tilt)
        spread = math.log(tilt * (1 + tilt)) + math.log(2 * math.pi * n * variance + 1e-300) / 2
        return n * (total - tilt * mean) - spread - math.log(setting.delta)

    low, high = math.log(1e-3), math.log(1e4)
    assert excess(high) < 0, f"{setting} has no tilt up to 1e4"
    if excess(low) <= 0:
        return math.exp(low)
    return math.exp(_root(excess, low, high, 1e-3))


def _reach(setting: Setting, removed: bool, tilt: float, side: int) -> float:
    """What the tilted sum exceeds, on this side, with probability TAIL at most: Chernoff."""
    total, n = _moments(setting, removed, tilt)[0], setting.num_steps
    bounds = []
    for more in np.geomspace(1e-2, 1e5, 70):
        grown = n * (_moments(setting, removed, tilt + side * more)[0] - total)
        bounds.append((grown - math.log(TAIL)) / more)
    return side * min(bounds)


def _log_sum(logs: np.ndarray) -> float:
    """The log of the sum of exp: added up in pairs, as logaddexp.reduce does not."""
    most = float(logs.max())
    return most + math.log(float(np.exp(logs - most).sum()))


def _root(excess: Callable[[float], float], low: float, high: float, xtol: float) -> float:
    return brentq(excess, low, high, xtol=xtol)  # pyright: ignore[reportReturnType]


if __name__ == "__main__":
    rows = [
        json.dumps([*setting, float(f"{exact_epsilon(setting, FINE):.9g}")])
        for setting in drawn(200)
    ]
    STORED.write_text("[\n" + ",\n".join(rows) + "\n]\n")
