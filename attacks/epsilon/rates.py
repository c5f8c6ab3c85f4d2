"""Epsilon from an attack's two error rates over independent trials."""

import numpy as np
from scipy.special import betainccinv


def epsilon_lower_bound(
    true_positives: int,
    num_members: int,
    false_positives: int,
    num_non_members: int,
    delta: float,
    confidence: float = 0.95,
    num_thresholds: int = 1,
) -> float:
    """Return an epsilon that the training exceeds, if it is (epsilon, delta)-private at all.

    Every test of an (epsilon, delta)-private algorithm has FNR + e^epsilon FPR >= 1 - delta, and
    the same with FNR and FPR changed over (Kairouz et al. 2015, https://arxiv.org/abs/1311.0776).
    Both rates are put at their Clopper-Pearson upper bounds, each at half the error allowed, as
    in Jagielski et al. (2020), https://arxiv.org/abs/2006.07709, who have delta 0.

    The threshold must be fixed before these trials are seen; of several, count all that were
    tried in `num_thresholds`, which divides the error allowed among them (Bonferroni).

    The trials must be independent: one example, or one for each model trained anew. Many examples
    of ONE model share its training run, so figures from them are estimates and no certificates.

    Args:
        true_positives: members that the attack called members.
        num_members: trials with a member, at least 1.
        false_positives: non-members that it called members.
        num_non_members: trials with a non-member, at least 1.
        delta: in [0, 1).
        confidence: the probability, in (0, 1), that the bound holds.
        num_thresholds: how many thresholds were tried, at least 1.

    Returns:
        epsilon in nats, 0 or more.

    Raises:
        ValueError: an argument is outside its range.
    """
    _check(true_positives, num_members, "members")
    _check(false_positives, num_non_members, "non-members")
    check_options(delta, confidence, num_thresholds)
    error = (1 - confidence) / num_thresholds / 2
    counts = np.array([true_positives]), num_members, np.array([false_positives]), num_non_members
    return float(lower_bounds(*counts, delta, error)[0])


def largest_certifiable(
    num_members: int, num_non_members: int, delta: float, confidence: float = 0.95
) -> float:
    """Return the bound of an attack without errors: what so few trials can show at the most.

    About log(n / 3.69) with n trials of each kind, delta 0 and 95 %: 2.8 for 64, 5.6 for 1,000.
    """
    return epsilon_lower_bound(num_members, num_members, 0, num_non_members, delta, confidence)


def lower_bounds(
    hits: np.ndarray,
    num_members: int,
    alarms: np.ndarray,
    num_non_members: int,
    delta: float,
    error: float,
) -> np.ndarray:
    """Return the bound at each of T thresholds by itself, (T,), nothing paid for their number.

    Args:
        hits: (T,) int, members called members.
        alarms: (T,) int, non-members called members.
        error: allowed for each of the two rates, in (0, 1).
    """
    fnr = _upper(num_members - hits, num_members, error)
    fpr = _upper(alarms, num_non_members, error)
    ratio = np.maximum((1 - delta - fnr) / fpr, (1 - delta - fpr) / fnr)
    return np.log(np.maximum(ratio, 1.0))


def check_options(delta: float, confidence: float, num_thresholds: int) -> None:
    """Refuse what no bound can be had for."""
    if not 0 <= delta < 1:
        raise ValueError(f"expected delta in [0, 1), got {delta}")
    if not 0 < confidence < 1:
        raise ValueError(f"expected a confidence in (0, 1), such as 0.95, got {confidence}")
    if num_thresholds < 1:
        raise ValueError(f"expected 1 threshold or more, got {num_thresholds}; count those tried")


def _upper(errors: np.ndarray, num_trials: int, error: float) -> np.ndarray:
    """The rates above which so few errors have less than a probability of `error`."""
    rates = betainccinv(errors + 1, np.maximum(num_trials - errors, 1), error)
    return np.where(errors == num_trials, 1.0, rates)


def _check(positives: int, num_trials: int, who: str) -> None:
    if not (num_trials >= 1 and 0 <= positives <= num_trials):
        raise ValueError(
            f"expected 1 or more {who} and no more positives than those, "
            f"got {positives} positives of {num_trials} {who}"
        )
