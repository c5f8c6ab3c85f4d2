"""Poisson batches of bounded size: what it costs in delta that those drawn larger are cut."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

TRIES = 30  # of epsilon, each nearer to the one that the delta left over is spent at
NEARER = 1e-6  # relative; what is tried is so much above what the last one gave


class Bounded(NamedTuple):
    """Batches of Poisson sampling, a larger one cut to `most` of its examples, drawn uniformly.

    Why it is private: give the training that cuts the same tosses and the same noise as the one
    that does not. They differ only where a batch is drawn too large, which no gradient decides; let
    that have the probability t at most, over all steps, for a training set and for its neighbour.
    So the probabilities of any event differ by t at most between both trainings, and from

        P[cut, set] <= P[set] + t <= e^epsilon P[neighbour] + delta + t
                    <= e^epsilon P[cut, neighbour] + delta + (1 + e^epsilon) t

    the one that cuts is (epsilon, delta + (1 + e^epsilon) t)-private. The argument is that of Chua
    et al. (2024), https://arxiv.org/abs/2411.04205, there for sets of the same size; a neighbour
    here may have one example more, and t is that one's.
    """

    num_members: int
    rate: float  # of each member in a step
    most: int
    num_steps: int

    @property
    def cut(self) -> float:
        """A bound on the probability that any batch is cut, of the set or of its neighbour."""
        return min(1.0, self.num_steps * self._tail(self.most))

    def _tail(self, most: int) -> float:
        """The probability that a batch of one member more has more examples than that."""
        from scipy.special import betainc  # P[binomial > most]; keeps its digits where it is tiny

        n = self.num_members + 1
        return float(betainc(most + 1, n - most, self.rate)) if most < n else 0.0

    def enough(self, epsilon: float, delta: float) -> int:
        """Return the smallest `most` that takes half of delta at most."""
        low, high = self.most, self.num_members + 1
        while low < high:
            middle = (low + high) // 2
            within = self._replace(most=middle).extra(epsilon) <= delta / 2
            low, high = (low, middle) if within else (middle + 1, high)
        return low

    def extra(self, epsilon: float) -> float:
        """Return what cutting adds to delta at this epsilon."""
        return self.cut * (1 + math.exp(min(epsilon, 700.0)))

    def left(self, epsilon: float, delta: float) -> float:
        """Return the delta that uncut batches may have, so that cut ones are (epsilon, delta).

        Raises:
            ValueError: cutting takes all of it.
        """
        left = delta - self.extra(epsilon)
        if left <= 0:
            raise ValueError(
                f"max_batch_size {self.most} cuts batches too often: the probability that any of "
                f"{self.num_steps} is cut, {self.cut:.2g}, adds {self.extra(epsilon):.2g} to delta "
                f"at epsilon {epsilon:.4g}, which is more than the {delta:g} that there is; use "
                f"max_batch_size: {self.enough(epsilon, delta)} or more"
            )
        return left


def spent_in_part(epsilon_at: Callable[[float], float], delta: float, batches: Bounded) -> float:
    """Return an epsilon such that a training that cuts is (epsilon, delta)-private.

    What cutting adds to delta grows with epsilon, which grows with what it takes; so epsilon is
    tried from below until what is left of delta there gives no more than it.

    Args:
        epsilon_at: of a delta, the epsilon of the same training with batches that are not cut.

    Raises:
        ValueError: there is no such epsilon, or `epsilon_at` cannot compute it.
    """
    tried = epsilon_at(delta)
    for _ in range(TRIES):
        found = epsilon_at(batches.left(tried, delta))
        if found <= tried:
            return found
        tried = found * (1 + NEARER)
    wanted = batches.enough(epsilon_at(delta / 2), delta)
    raise ValueError(
        f"max_batch_size {batches.most} cuts batches so often that no epsilon is found at delta "
        f"{delta:g}; use max_batch_size: {wanted} or more"
    )
