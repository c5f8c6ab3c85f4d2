"""Epsilon from one training with many canaries, if its trade-off is that of Gaussian noise."""

import math

import numpy as np
from scipy.special import erfcx, log_ndtr, ndtr, ndtri

from attacks.epsilon.rates import check_options
from attacks.epsilon.trade_off import LeastFPR, check_counts, refuted

HALVINGS = 60


def gaussian_bound(
    num_canaries: int,
    num_guesses: int,
    num_correct: int,
    confidence: float = 0.95,
    num_tried: int = 1,
) -> float:
    """Return a mu that the training exceeds, if it is mu-GDP at all.

    It says that no training whose trade-off function is N(0, 1) against N(mu', 1)'s, mu' up to
    this mu, is so easily guessed of: another statement than `one_run_bound`'s, and a stronger one,
    for it asks less of those that it refutes. Of a training whose trade-off is not Gaussian it
    bounds neither mu nor epsilon: randomized response of the same epsilon and delta may be guessed
    of more easily. `refuted` tests any other trade-off.

    Arguments and errors as of `one_run_bound`, but that it needs no delta.

    Returns:
        mu, 0 or more; `gaussian_epsilon` converts it.
    """
    check_options(0, confidence, num_tried)
    check_counts(num_canaries, num_guesses, num_correct)
    counts, error = (num_canaries, num_guesses, num_correct), (1 - confidence) / num_tried
    if not refuted(*counts, gaussian_least_fpr(0), error):
        return 0.0
    low, high = 0.0, 1.0
    while refuted(*counts, gaussian_least_fpr(high), error):
        low, high = high, 2 * high
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        gone = refuted(*counts, gaussian_least_fpr(middle), error)
        low, high = (middle, high) if gone else (low, middle)
    return low


def gaussian_least_fpr(mu: float) -> LeastFPR:
    """Return the least FPR of a true-positive rate, between N(0, 1) and N(mu, 1)."""
    return lambda tpr: float(ndtr(ndtri(tpr) - mu))


def gaussian_epsilon(mu: float, delta: float) -> float:
    """Return the smallest epsilon at which Gaussian noise of this mu has this delta, or less.

    Source: Balle and Wang (2018), https://arxiv.org/abs/1805.06530, Theorem 8, where mu is the
    sensitivity over the noise's standard deviation.

    Args:
        mu: 0 or more.
        delta: in (0, 1); at 0 only a mu of 0 has an epsilon.

    Raises:
        ValueError: an argument is outside its range.
    """
    if not (mu >= 0 and math.isfinite(mu) and 0 <= delta < 1):
        raise ValueError(f"expected mu of 0 or more and delta in [0, 1), got {mu} and {delta}")
    if mu == 0 or gaussian_delta(mu, 0) <= delta:
        return 0.0
    if delta == 0:
        return math.inf
    low, high = 0.0, 1.0
    while gaussian_delta(mu, high) > delta:
        low, high = high, 2 * high
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if gaussian_delta(mu, middle) > delta else (low, middle)
    return low


def gaussian_mu(epsilon: float, delta: float) -> float:
    """Return the largest mu whose Gaussian noise has this epsilon or less, at a delta above 0."""
    low, high = 0.0, 1.0
    while gaussian_epsilon(high, delta) <= epsilon:
        low, high = high, 2 * high
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if gaussian_epsilon(middle, delta) <= epsilon else (low, middle)
    return low


def gaussian_delta(mu: float, epsilon: float) -> float:
    """Return the smallest delta of Gaussian noise: P(Z > a) - e^epsilon P(Z > a + mu), mu > 0.

    Both terms share the density at a = epsilon / mu - mu / 2, so that their difference keeps its
    digits where they nearly cancel.
    """
    a = epsilon / mu - mu / 2
    if a < 0:  # then the second term is far below the first, unless mu is small
        return float(ndtr(-a) - np.exp(epsilon + log_ndtr(-a - mu)))
    ratios = float(erfcx(a / math.sqrt(2)) - erfcx((a + mu) / math.sqrt(2))) / 2
    return math.exp(-a * a / 2) * ratios
