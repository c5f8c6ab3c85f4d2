"""The interval of a difference of two means that nothing ties together."""

import math

from runner.statistics.intervals import Interval


def difference(one: Interval, other: Interval) -> Interval:
    """Return one mean less another, with an interval from theirs, as if they were independent.

    It asks nothing but the two intervals, which may be skewed: the lower end takes how far the
    first reaches down and the other up. Where they are symmetric it is the root of the sum of
    squares. Of two shares it never leaves [-1, 1]. Where both are of the same examples or the same
    models they are not independent, and it is wider than it need be as long as these move both the
    same way.

    Source: Zou and Donner (2008), https://doi.org/10.1002/sim.3095, variances recovered from
    confidence limits; of two proportions it is Newcombe's (1998) tenth method.
    """
    mean = one.mean - other.mean
    low = mean - math.hypot(one.mean - one.low, other.high - other.mean)
    high = mean + math.hypot(one.high - one.mean, other.mean - other.low)
    models = min(one.num_models, other.num_models)
    return Interval(mean, low, high, models)
