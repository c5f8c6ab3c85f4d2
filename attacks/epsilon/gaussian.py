"""Epsilon from one training with many canaries, if its trade-off is that of Gaussian noise."""

from scipy.special import ndtr, ndtri

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
        mu, 0 or more; `attacks.gaussian_noise.epsilon_of` converts it.
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
