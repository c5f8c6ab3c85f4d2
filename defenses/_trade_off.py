"""The ceiling that DP-SGD's proof puts on any membership attack: TPR at each FPR, AUC, and mu."""

import functools
import itertools
import math
from typing import Literal, NamedTuple

import numpy as np
from scipy.special import ndtri

from attacks.gaussian_noise import log_delta
from defenses._loss_distribution import LARGEST, MOST_NOISE, Centres, Steps, summed

Neighbours = Literal["added", "replaced"]

LINES = 4001  # of each direction, whose lower envelope is the ceiling
MOST_MU = 1e7  # beyond that everything is told
LEAST_MU = 1e-9  # below that slopes are not told apart; it bounds what is less
LEAST = 1e-6  # of the errors that mu is of: see `TradeOff.mu`


class TradeOff(NamedTuple):
    """The ROC curve that no attack on one example's membership exceeds: a concave polygon.

    What it is of. The attack knows everything but whether the example is a member: its FPR is the
    probability that it calls the example a member where it is none, its TPR where it is one, over
    the noise and the batches of training. Members drawn by coins, other models and answers under
    attack are part of what it knows or makes of the weights, which add nothing (post-processing).

    A mean over examples obeys it as well: with curves f (concave) and rates (a_i, t_i) of each
    example, mean t_i <= mean f(a_i) <= f(mean a_i). So do the rates of an audit, which takes
    many members and non-members of one model, in expectation. Its threshold is read off the same
    model's non-members: whoever is above all but k of n is called a member. For a member that is
    the test "at most k of n non-members lie above"; the same test of one of n non-members
    is passed by k + 1 of them, so TPR at k false positives is at most f((k + 1) / n): `observed`.
    """

    fpr: np.ndarray  # (V,) of each corner, from 0 to 1, rising
    tpr: np.ndarray  # (V,) may end a little above 1
    by: Literal["pld", "gaussian"]  # who computed it

    def tpr_at(self, fpr: float) -> float:
        """Return the largest TPR at an FPR."""
        return min(1.0, float(np.interp(fpr, self.fpr, self.tpr)))

    def observed(self, fpr: float, num_negatives: int) -> float:
        """Return the largest expected TPR where so large a share of n non-members is accused."""
        allowed = math.floor(fpr * num_negatives * (1 + 1e-12)) + 1
        return self.tpr_at(min(1.0, allowed / num_negatives))

    def blurred(self, most: float) -> "TradeOff":
        """Return the ceiling of a training that does something else with so small a probability.

        In either world probabilities differ by that much at the most: `_truncation.Bounded`.
        """
        if not most:
            return self
        kept = self.fpr > most
        first = np.interp(most, self.fpr, self.tpr)
        fpr = np.concatenate(([0.0], self.fpr[kept] - most, [1.0]))
        tpr = np.concatenate(([first], self.tpr[kept], [1.0])) + most
        return self._replace(fpr=fpr, tpr=tpr)

    @property
    def least(self) -> float:
        """The smallest error that mu is of."""
        return LEAST

    def auc(self) -> float:
        """Return the largest AUC: the area below the polygon."""
        return min(1.0, float(np.trapezoid(self.tpr, self.fpr)))

    def mu(self) -> float:
        """Return the smallest mu whose Gaussian trade-off promises no more, at errors that count.

        Dong, Roth and Su (2022), https://arxiv.org/abs/1905.02383. That is from an FPR of LEAST to
        a FNR of LEAST: over all, no mu of a sampled Gaussian is below sqrt(steps) / noise, and what
        is told then lies where nobody looks. Between two corners the polygon is straight and a
        Gaussian curve is concave, so that corners and ends are all that must be compared.
        """
        last = np.interp(1 - LEAST, np.maximum.accumulate(self.tpr), self.fpr)
        if last <= LEAST:
            return math.inf
        corners = (self.fpr > LEAST) & (self.fpr < last)
        fpr = np.concatenate(([LEAST], self.fpr[corners], [last]))
        tpr = np.minimum(np.interp(fpr, self.fpr, self.tpr), 1 - LEAST)
        return float(np.max(ndtri(tpr) - ndtri(fpr)))


@functools.lru_cache(maxsize=256)
def trade_off(
    noise_multiplier: float,
    sample_rate: float,
    num_steps: int,
    neighbours: Neighbours = "added",
    copies: int = 1,
) -> TradeOff:
    """Return the ceiling after so many steps: an upper bound, by privacy-loss distributions.

    A line of slope exp(epsilon) and height delta(epsilon) bounds TPR at every FPR, by an epsilon of
    either sign; from both directions, removed and added, all of them do, and the ceiling is their
    lower envelope. At sample rate 1 each delta is a closed form: Balle and Wang (2018),
    https://arxiv.org/abs/1805.06530, theorem 8.

    Args:
        noise_multiplier: above 0.
        sample_rate: in (0, 1].
        num_steps: 1 or more.
        neighbours: added: the member is left out where it is none. replaced: another example is in
            its place, as where the number of members is fixed.
        copies: of the example, that are all in or all out.
    """
    by = "gaussian" if sample_rate == 1 else "pld"
    if math.sqrt(num_steps) / noise_multiplier > MOST_MU:
        return TradeOff(np.array([0.0, 1.0]), np.ones(2), by)
    epsilons, removed, added = _deltas(
        noise_multiplier, sample_rate, num_steps, _centres(sample_rate, neighbours, copies)
    )
    shrunk = np.exp(-epsilons[1:])  # the first epsilon is 0, whose line is the same of both
    heights = np.concatenate((removed[::-1], 1 - shrunk * (1 - added[1:])))
    fpr, tpr = _below(heights, np.concatenate((np.exp(epsilons[::-1]), shrunk)))
    return TradeOff(fpr, tpr, by)


def _centres(rate: float, neighbours: Neighbours, copies: int) -> tuple[Centres, Centres]:
    """Where the worlds with and without the example are centred, and how probably."""
    shares = (
        math.comb(copies, k) * rate**k * (1 - rate) ** (copies - k) for k in range(copies + 1)
    )
    there = tuple((float(k), p) for k, p in enumerate(shares) if p > 0)
    if neighbours == "added":
        return there, ((0.0, 1.0),)
    return there, tuple((-k, p) for k, p in there)


def _deltas(
    noise: float, rate: float, num_steps: int, centres: tuple[Centres, Centres]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Epsilons from 0 on, rising, and the delta at each of both directions."""
    if rate == 1:
        (high, _), (low, _) = centres[0][0], centres[1][0]
        mu = max((high - low) * math.sqrt(num_steps) / noise, LEAST_MU)
        epsilons = np.linspace(0, min(mu**2 / 2 + 9 * mu, LARGEST), LINES)
        found = np.exp([log_delta(mu, epsilon, rounded=1) for epsilon in epsilons.tolist()])
        return epsilons, found, found
    steps = Steps(min(noise, MOST_NOISE * rate), num_steps, *centres)
    sums = summed(steps), summed(steps.reversed)
    most = max(float(one.losses[-1]) for one in sums)
    epsilons = np.linspace(0, min(most, LARGEST), LINES)
    return epsilons, sums[0].deltas(epsilons), sums[1].deltas(epsilons)


def _below(heights: np.ndarray, slopes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The corners of the lower envelope of lines of falling slopes, and of 1, over [0, 1]."""
    lines = [(1.0, 0.0)]  # the flattest first: each next one may hide those before it at small FPR
    for height, slope in zip(heights[::-1].tolist(), slopes[::-1].tolist(), strict=True):
        while len(lines) > 1 and _meet(lines[-1], (height, slope)) >= _meet(*lines[-2:]):
            lines.pop()
        if height < lines[-1][0]:
            lines.append((height, slope))
    corners = [_meet(one, other) for one, other in itertools.pairwise(lines)]
    fpr = np.array([0.0, *corners[::-1], 1.0])
    inside = fpr <= 1
    fpr = np.append(fpr[inside], [1.0] if fpr[inside][-1] < 1 else [])
    height, slope = np.array(lines).T
    tpr = np.array([float(np.min(height + slope * x)) for x in fpr])
    return fpr, np.minimum(tpr, 1.0)


def _meet(flat: tuple[float, float], steep: tuple[float, float]) -> float:
    """Where two lines meet."""
    return (flat[0] - steep[0]) / (steep[1] - flat[1])
