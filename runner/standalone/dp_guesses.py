"""Do guesses of the canary's coin in all trials come out right more often than a guarantee lets?"""

import math
from typing import NamedTuple

import numpy as np
from scipy.special import betainc

HALVINGS = 60


class Guesses(NamedTuple):
    """How the guesses came out."""

    num_right: int
    num: int
    most: float  # the largest chance to be right
    error: float  # of accusing a training that keeps its guarantee

    @property
    def p_value(self) -> float:
        """The chance of so many right guesses, or more, at the most."""
        if self.num_right == 0:
            return 1.0
        return float(betainc(self.num_right, self.num - self.num_right + 1, self.most))

    @property
    def alarm(self) -> str | None:
        """What is wrong if there are too many of them, else None."""
        if self.p_value > self.error:
            return None
        return (
            f"{self.num_right:,} of {self.num:,} guesses of the coin are right, which has a chance "
            f"of {self.p_value:.2g} where none is right of more than {self.most:.1%}, as what is "
            "said to be proved has it: the training is not the one that the proof is of"
        )


def guesses_of(
    member: np.ndarray, scores: np.ndarray, threshold: float, most: float, error: float
) -> Guesses:
    """Return how often a score at or above the threshold told the coin.

    All trials count, for the threshold is settled beforehand. They are independent trainings, so
    the number of right guesses is below a binomial's, whatever else the training does: a test of
    its trade-off function at the middle, and not at one delta in the tails.

    Args:
        member: (T,) bool, whether the canary was in, by a fair coin.
        scores: (T,) float, higher means more likely in.
    """
    return Guesses(int(np.sum((scores >= threshold) == member)), len(member), most, error)


def most_right(fpr: np.ndarray, tpr: np.ndarray) -> float:
    """Return the largest chance to guess a fair coin below a ROC curve: (TPR + 1 - FPR) / 2.

    Args:
        fpr: (n,) of the corners of the curve that no test exceeds.
        tpr: (n,) at these.
    """
    return min(1.0, (1 + float(np.max(tpr - fpr))) / 2)


def even_odds(noise_multiplier: float, sample_rate: float, num_steps: int) -> float:
    """Return the score that a canary in and one out give as gladly, if all is as it is claimed.

    In, the score is a binomial number of draws plus the noise of all steps; out, the noise alone.
    """
    draws = np.arange(num_steps + 1)
    logs = [math.lgamma(n + 1) for n in (num_steps, *draws, *(num_steps - draws))]
    ways = logs[0] - np.array(logs[1 : num_steps + 2]) - np.array(logs[num_steps + 2 :])
    with np.errstate(divide="ignore", invalid="ignore"):
        misses = np.where(num_steps > draws, (num_steps - draws) * np.log1p(-sample_rate), 0.0)
    chances = ways + draws * math.log(sample_rate) + misses
    variance = num_steps * noise_multiplier**2
    low, high = 0.0, float(num_steps)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        for_in = np.logaddexp.reduce(chances + (draws * middle - draws**2 / 2) / variance)
        low, high = (low, middle) if for_in > 0 else (middle, high)
    return high
