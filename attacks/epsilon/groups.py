"""From k examples that go in and out of the data together to one example."""

import math
from collections.abc import Callable

HALVINGS = 60


def of_one(bound: Callable[[float], float], delta: float, k: int) -> float:
    """Return the lower bound on epsilon for one example, from trials with k of them together.

    k copies are easier to see than one, and an (epsilon, delta)-private training keeps them
    (k epsilon, delta (e^(k epsilon) - 1) / (e^epsilon - 1))-private; so an epsilon is refuted if
    the trials refute those two. With delta 0 the bound is divided by k, as Jagielski et al. (2020),
    https://arxiv.org/abs/2006.07709, do with their k poisons.

    Args:
        bound: delta -> the bound on epsilon that these trials show for the k examples, the same
            trials, thresholds and confidence whatever delta: for instance
            `lambda delta: epsilon_lower_bound(90, 100, 2, 100, delta)`.
        delta: of one example, in [0, 1).
        k: 1 or more.

    Returns:
        epsilon in nats, 0 or more.

    Raises:
        ValueError: k is below 1.
    """
    if k < 1:
        raise ValueError(f"expected groups of 1 example or more, got k {k}")
    if k * delta >= 1:
        return 0.0

    def refuted(epsilon: float) -> bool:
        together = delta * math.fsum(math.exp(i * epsilon) for i in range(k))
        return together < 1 and bound(together) > k * epsilon

    low, high = 0.0, bound(k * delta) / k  # a larger epsilon makes delta larger and `bound` smaller
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if refuted(middle) else (low, middle)
    return low
