"""Bounds on epsilon that nothing but tests needs, from those that the audits use."""

from collections.abc import Iterable

import numpy as np

from attacks.epsilon import epsilon_lower_bound, one_run_bound


def bonferroni_bound(
    scores_in: np.ndarray,
    scores_out: np.ndarray,
    thresholds: Iterable[float],
    delta: float,
    confidence: float = 0.95,
) -> float:
    """Return the largest bound of thresholds, fixed beforehand, that share the error allowed.

    Args:
        scores_in: (n,) float, one of each trial with a member.
        scores_out: (n',) float, of the trials without.
        thresholds: one or more; a score at or above one says "in".
    """
    at = list(thresholds)
    return max(
        epsilon_lower_bound(
            *(int(np.sum(scores_in >= t)), len(scores_in)),
            *(int(np.sum(scores_out >= t)), len(scores_out)),
            *(delta, confidence, len(at)),
        )
        for t in at
    )


def largest_of_one_run(
    num_canaries: int, num_guesses: int, delta: float, confidence: float = 0.95, num_tried: int = 1
) -> float:
    """Return the bound of guesses that are all correct: what one training can show at the most.

    About log(r / 3) for r guesses, delta 0 and 95 %: 3.5 for 100, 5.8 for 1,000.
    """
    return one_run_bound(num_canaries, num_guesses, num_guesses, delta, confidence, num_tried)
