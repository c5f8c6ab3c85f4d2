"""Lower bounds on the epsilon of differential privacy, from how well an attack does."""

import math

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
    if not 0 <= delta < 1:
        raise ValueError(f"expected delta in [0, 1), got {delta}")
    if not 0 < confidence < 1:
        raise ValueError(f"expected a confidence in (0, 1), such as 0.95, got {confidence}")
    if num_thresholds < 1:
        raise ValueError(f"expected 1 threshold or more, got {num_thresholds}; count those tried")
    error = (1 - confidence) / num_thresholds / 2
    fnr = _upper(num_members - true_positives, num_members, error)
    fpr = _upper(false_positives, num_non_members, error)
    ratios = (1 - delta - fnr) / fpr, (1 - delta - fpr) / fnr
    return math.log(max(1.0, *ratios))


def largest_certifiable(
    num_members: int, num_non_members: int, delta: float, confidence: float = 0.95
) -> float:
    """Return the bound of an attack without errors: what so few trials can show at the most.

    About log(n / 3.69) with n trials of each kind, delta 0 and 95 %: 2.8 for 64, 5.6 for 1,000.
    """
    return epsilon_lower_bound(num_members, num_members, 0, num_non_members, delta, confidence)


def _upper(errors: int, num_trials: int, error: float) -> float:
    """The rate above which so few errors have less than a probability of `error`."""
    if errors == num_trials:
        return 1.0
    return float(betainccinv(errors + 1, num_trials - errors, error))


def _check(positives: int, num_trials: int, who: str) -> None:
    if not (num_trials >= 1 and 0 <= positives <= num_trials):
        raise ValueError(
            f"expected 1 or more {who} and no more positives than those, "
            f"got {positives} positives of {num_trials} {who}"
        )
