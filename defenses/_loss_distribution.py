"""What DP-SGD's steps tell of one example at the most, by the distribution of the privacy loss.

Every figure here is an upper bound. A step's loss is laid on a grid so that the pair of
distributions there dominates the exact one ("connect the dots", Doroshenko et al. 2022,
https://arxiv.org/abs/2207.04380). Steps are composed by a Fourier transform. What its window cuts
off, and the most that float64 may have rounded away, is added.
"""

import functools
import math
from typing import NamedTuple, Self

import numpy as np
from numpy.fft import irfft, rfft
from numpy.polynomial.legendre import leggauss
from scipy.special import ndtr

Centres = tuple[tuple[float, float], ...]  # (where, probability) of each; in clipping norms

CUT = 1e-13  # of the sum of losses, on each side of the window
FINE = 160  # cells of the grid in a standard deviation of one step's loss
CELLS = 2**20  # of the window at the most: beyond that the grid is coarser, and the bound looser
PANELS = 4096  # of the integrals that only choose the grid and the tilt
LEAST_NOISE = 1e-3  # of which another accountant is asked
MOST_NOISE = 1e13  # over the sample rate: more tells no more, and losses get too small for a grid
TINIEST = 1e-320  # of probabilities
UNIT = float(np.finfo(float).eps)
TILTS = np.geomspace(1e-3, 1e6, 260)
NEAR = 1e-6  # relative; an epsilon is found so near
LARGEST = 60.0  # nats of a loss whose delta is asked for: exp of it is all that there is


class Steps(NamedTuple):
    """Steps of DP-SGD, as the two distributions that tell most of one example.

    One step is a number: the noisy sum of clipped gradients along the line on which the worlds with
    and without the example differ. Each centre has its probability. The pair dominates the
    mechanism, whatever the gradients are, at every epsilon of either sign, so that its trade-off
    function lies below the mechanism's: Zhu, Dong and Wang (2022),
    https://arxiv.org/abs/2106.08567, theorems 10 and 11. That the centres may be taken to lie on
    one line: Choquette-Choo et al. (2024), https://arxiv.org/abs/2310.15526.
    """

    noise_multiplier: float
    num_steps: int
    with_it: Centres
    without: Centres

    @property
    def reversed(self) -> Self:
        """The worlds changed over, on the mirrored line, so that the loss still grows along it."""
        with_it, without = (tuple((-at, p) for at, p in c) for c in (self.without, self.with_it))
        return self._replace(with_it=with_it, without=without)

    @property
    def largest(self) -> float:
        """The largest loss of a step, infinite unless both worlds share their outermost centre."""
        (at, p), (by, q) = max(self.with_it), max(self.without)
        return math.log(p / q) if at == by else math.inf

    def loss(self, x: np.ndarray) -> np.ndarray:
        """Return log(with / without) at outputs; it grows with x."""
        return self._log_density(x, self.with_it)[0] - self._log_density(x, self.without)[0]

    def log_mass(self, x: np.ndarray) -> np.ndarray:
        """Return the log of the density with the example."""
        s = self.noise_multiplier
        return self._log_density(x, self.with_it)[0] - math.log(s * math.sqrt(2 * math.pi))

    def outputs(self, losses: np.ndarray, low: float, high: float) -> np.ndarray:
        """Return the outputs in [low, high] whose losses these are, by two steps of Newton's.

        An error moves a boundary between cells, and a bound by its square alone.
        """
        table = self.panels(low, high, PANELS)
        known = np.maximum.accumulate(self.loss(table))
        x = np.interp(losses, known, table)
        at = np.clip(np.searchsorted(known, losses), 1, len(table) - 1)
        for _ in range(2):
            (one, mean), (other, by) = (
                self._log_density(x, c) for c in (self.with_it, self.without)
            )
            slope = np.maximum(mean - by, 1e-300) / self.noise_multiplier**2
            x = np.clip(x - (one - other - losses) / slope, table[at - 1], table[at])
        return x

    def panels(self, low: float, high: float, number: int) -> np.ndarray:
        """Return bounds between two outputs, of which many lie where outputs do."""
        ends = self.noise_multiplier * np.linspace(-15, 15, number)
        centres = {at for at, _ in (*self.with_it, *self.without)}
        near = [at + ends for at in sorted(centres)]
        found = np.unique(np.concatenate([np.linspace(low, high, number), *near]))
        return found[(found >= low) & (found <= high)]

    def ends(self, tiny: float) -> tuple[float, float, float]:
        """Return outputs beyond which hardly any lie, and what lies above with the example."""
        most = math.log(self.num_steps) - math.log(max(tiny, TINIEST))
        reach = self.noise_multiplier * math.sqrt(2 * most)
        low = min(at for at, _ in self.without) - reach
        high = max(at for at, _ in self.with_it) + reach
        above = sum(p * float(ndtr((at - high) / self.noise_multiplier)) for at, p in self.with_it)
        return low, high, above

    def _log_density(self, x: np.ndarray, centres: Centres) -> tuple[np.ndarray, np.ndarray]:
        """The log of a world's density but for a constant, and the mean centre, given an output."""
        twice = 2 * self.noise_multiplier**2
        logs = [math.log(p) - (x - at) ** 2 / twice for at, p in centres]
        most = functools.reduce(np.maximum, logs)
        shares = [np.exp(each - most) for each in logs]
        total = functools.reduce(np.add, shares)
        mean = sum(share * at for share, (at, _) in zip(shares, centres, strict=True)) / total
        return most + np.log(total), np.asarray(mean)


def one_example(noise_multiplier: float, sample_rate: float, num_steps: int) -> Steps:
    """Return the steps of which one example is added to the batches or is not."""
    drawn = ((0.0, 1 - sample_rate), (1.0, sample_rate)) if sample_rate < 1 else ((1.0, 1.0),)
    return Steps(min(noise_multiplier, MOST_NOISE * sample_rate), num_steps, drawn, ((0.0, 1.0),))


def larger_epsilon(steps: Steps, delta: float) -> float:
    """Return the larger epsilon of both directions, infinite if none is found.

    Under the world without the example a step's loss is bounded, by -log(1 - q) of one example,
    which settles that direction where it is below the other one's epsilon.

    Args:
        steps: of one direction.
        delta: in (0, 1).
    """
    found = 0.0
    if steps.noise_multiplier < LEAST_NOISE:
        return math.inf
    for direction in (steps, steps.reversed):
        most = steps.num_steps * direction.largest
        if most <= found:
            continue
        tilt = tilt_of(direction, delta)
        losses = summed(direction, tilt, delta * 1e-4)
        if losses.delta(0.0) <= delta:
            continue
        found = max(found, min(most, losses.epsilon(delta)))
    return found


class Moments(NamedTuple):
    """Losses of one step at nodes, and their log weights under the world with the example."""

    losses: np.ndarray  # (nodes,)
    log_weights: np.ndarray  # (nodes,)

    def log_mean_exp(self, orders: np.ndarray) -> np.ndarray:
        """Return log E exp(order loss) for each order."""
        logs = np.multiply.outer(orders, self.losses) + self.log_weights
        most = logs.max(-1)
        return most + np.log(np.exp(logs - most[..., None]).sum(-1))

    def mean_and_variance(self, orders: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return log E exp(order loss), and the loss's mean and variance when tilted so."""
        total = self.log_mean_exp(orders)
        logs = np.multiply.outer(orders, self.losses) + self.log_weights
        shares = np.exp(logs - total[..., None])
        mean = shares @ self.losses
        return total, mean, (shares * (self.losses - mean[..., None]) ** 2).sum(-1)


class Sum(NamedTuple):
    """The loss of all steps under the world with the example, with exp(tilt loss) as a weight."""

    losses: np.ndarray  # (cells,), rising
    mass: np.ndarray  # (cells,), of total about 1
    tilt: float
    log_scale: float  # the log of what the masses were divided by
    rounded: float  # the most that any mass lacks
    relative: float  # the most that sums of masses lack, of themselves
    infinite: float  # probability of a loss without bound

    def delta(self, epsilon: float) -> float:
        """Return the most that delta can be at an epsilon."""
        over = self.losses[np.searchsorted(self.losses, epsilon) :] - epsilon
        weights = np.exp(-self.tilt * over) * -np.expm1(-over)
        told = float(np.maximum(self.mass[len(self.mass) - len(over) :], 0) @ weights)
        told = told * (1 + self.relative) + self.rounded * float(weights.sum())
        cut = CUT * (1 + math.exp(-self.tilt * max(float(self.losses[-1]) - epsilon, 0.0)))
        return math.exp(min(self.log_scale - self.tilt * epsilon, 700.0)) * (told + cut) + (
            self.infinite
        )

    def epsilon(self, delta: float) -> float:
        """Return an epsilon at a delta below that of epsilon 0, infinite if there is none."""
        low, high = 0.0, float(self.losses[-1])
        if self.delta(high) > delta:
            return math.inf
        while high - low > NEAR * high:
            middle = (low + high) / 2
            low, high = (low, middle) if self.delta(middle) <= delta else (middle, high)
        return high

    def deltas(self, epsilons: np.ndarray) -> np.ndarray:
        """Return the same for many, 0 or more and rising, of a sum that is not tilted."""
        assert self.tilt == 0, "a tilted sum knows its tail alone"
        kept = self.losses > 0
        losses, mass = self.losses[kept], np.maximum(self.mass[kept], 0)
        above = np.append(np.cumsum(mass[::-1])[::-1], 0.0)
        without = np.append(np.cumsum((mass * np.exp(-losses))[::-1])[::-1], 0.0)
        at = np.searchsorted(losses, epsilons, side="right")
        told = above[at] - np.exp(epsilons) * without[at]
        lacking = self.relative * above[at] + self.rounded * (len(losses) - at) + CUT
        return np.minimum(np.maximum(told, 0) + lacking + self.infinite, 1.0)


def summed(steps: Steps, tilt: float = 0.0, tiny: float = 1e-16) -> Sum:
    """Return the loss of all steps.

    Args:
        steps: whose world with the example it is under.
        tilt: weighs a loss by exp(tilt loss), in whose middle the asked epsilon then lies:
            rounding is relative to what is in the middle.
        tiny: the probability that may be given away as a loss without bound.
    """
    n, (low, high, above) = steps.num_steps, steps.ends(tiny)
    moments = _moments(steps, low, high)
    width, first, cells = _window(moments, n, tilt)
    start, mass = _on_grid(steps, width, low, high)
    logs = tilt * width * (start + np.arange(len(mass)))
    most = float(logs.max())
    mass = mass * np.exp(logs - most)
    total = float(mass.sum())
    ring = np.bincount((start + np.arange(len(mass))) % cells, mass / total, cells)
    there = rfft(ring)
    size = np.abs(there)
    summed_mass = irfft(there**n, cells)
    # each coefficient lacks at most 8 log2(cells) units, as each is a sum of |mass| = 1
    of_each = 8 * math.log2(cells) * UNIT
    lack = n * size ** (n - 1) * of_each + (8 * n * UNIT + of_each) * size**n
    numbers = first + np.arange(cells)
    return Sum(
        numbers * width,
        summed_mass[numbers % cells],
        tilt,
        n * (math.log(total) + most),
        rounded=2 * float(lack.sum()) / cells,
        relative=(256 * n + 2 * cells) * UNIT,
        infinite=n * above,
    )


def tilt_of(steps: Steps, delta: float) -> float:
    """Return the tilt at which the mean of the sum is about the epsilon of a delta."""
    n, (low, high, _) = steps.num_steps, steps.ends(delta * 1e-6)
    total, mean, variance = _moments(steps, low, high).mean_and_variance(TILTS)
    spread = np.log(TILTS * (1 + TILTS)) + np.log(2 * math.pi * n * variance + 1e-300) / 2
    small = n * (total - TILTS * mean) - spread < math.log(delta)
    return float(TILTS[np.argmax(small)]) if small.any() else float(TILTS[-1])


def _moments(steps: Steps, low: float, high: float) -> Moments:
    """The loss of one step, between two outputs."""
    x, weights = _nodes(steps.panels(low, high, PANELS // 8))
    return Moments(steps.loss(x).ravel(), (steps.log_mass(x) + np.log(weights)).ravel())


def _window(moments: Moments, n: int, tilt: float) -> tuple[float, int, int]:
    """The width of a cell, the first one and the number of them, by Chernoff's bound.

    On the grid a step's E exp(t loss) is larger by what the chord of a convex function is above it,
    and a loss is larger by one cell at the most.
    """
    here, _, variance = moments.mean_and_variance(np.array([tilt]))
    orders = np.geomspace(1e-2, 1e4, 80)
    up, down = (moments.log_mean_exp(tilt + sign * orders) - here for sign in (1, -1))
    reach = float(moments.losses.max() - moments.losses.min())
    width = max(math.sqrt(float(variance[0])) / FINE, 4 * reach / CELLS, 1e-15)
    while True:
        t = tilt + orders
        steep = (t + 4) * width  # expm1(width) is below width exp(width)
        chord = np.log1p(t * (t + 1) * width**2 / 8 * np.exp(np.minimum(steep, 600)))
        chord = np.where(steep < 600, chord, np.inf)
        high = float(np.min((n * (up + np.minimum(t * width, chord)) - math.log(CUT)) / orders))
        low = -float(np.min((n * down - math.log(CUT)) / orders)) - width
        cells = 2 ** math.ceil(math.log2((high - low) / width + 4))
        if cells <= CELLS:
            return width, math.floor(low / width), cells
        width *= max(2.0, (high - low) / width / CELLS / 2)


def _on_grid(steps: Steps, width: float, low: float, high: float) -> tuple[int, np.ndarray]:
    """The loss of one step: the first cell, and the mass with the example of each.

    What lies between two points of the grid is shared between them so that the mass of either world
    stays as it is, which dominates. What lies below the lowest output is raised to it.
    """
    ends = steps.loss(np.array([low, high]))
    first, last = math.floor(float(ends[0]) / width), math.ceil(float(ends[1]) / width)
    inner = np.arange(first + 1, last) * width
    bounds = np.union1d(steps.outputs(inner, low, high), steps.panels(low, high, PANELS // 8))
    x, weights = _nodes(bounds)
    losses = steps.loss(x).ravel()
    mass = (np.exp(steps.log_mass(x)) * weights).ravel()
    cell = np.clip(np.floor(losses / width).astype(np.int64), first, last - 1)
    right = mass * np.expm1(cell * width - losses) / math.expm1(-width)
    found = np.bincount(cell - first, mass - right, last - first + 1)
    found[1:] += np.bincount(cell - first, right, last - first)
    below, above = (
        sum(p * float(ndtr(sign * (at - end) / steps.noise_multiplier)) for at, p in steps.with_it)
        for sign, end in ((-1, low), (1, high))
    )
    found[1] += below
    assert abs(found.sum() + above - 1) < 1e-9, f"a step of {steps} has lost what it may tell"
    return first, found


@functools.cache
def _rule() -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights in [0, 1] of an integral over a cell, smooth inside of it."""
    nodes, weights = leggauss(6)
    return (nodes + 1) / 2, weights / 2


def _nodes(bounds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights (panels, 6) of the integral over each panel between bounds."""
    nodes, weights = _rule()
    widths = np.diff(bounds)[:, None]
    return bounds[:-1, None] + widths * nodes, widths * weights
