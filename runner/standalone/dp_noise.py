"""Is the noise of all trials as large as it is claimed to be?"""

import math
from typing import NamedTuple

import numpy as np
from scipy.special import chdtri

POWER = 0.95  # with which a shortfall that is told is seen


class Noise(NamedTuple):
    """What the trials show of the noise multiplier."""

    claimed: float
    at_most: float  # of the layer with the least
    num_coordinates: int  # of a layer, all trials together
    shortfall: float  # of a layer's noise, from 0 to 1, that is seen with a chance of POWER
    error: float  # of accusing noise that is as large as it is claimed to be

    @property
    def alarm(self) -> str | None:
        """What is wrong if it is smaller than claimed, else None."""
        if self.at_most >= self.claimed:
            return None
        return (
            f"the noise multiplier of a layer is at most {self.at_most:.4g} by "
            f"{self.num_coordinates:,} coordinates that no gradient touches, and "
            f"{self.claimed:.4g} is claimed: the noise is too small for what is said to be proved"
        )


def noise_shown(energies: np.ndarray, num_coordinates: int, claimed: float, error: float) -> Noise:
    """Return an upper bound on the noise, beside what is claimed.

    Where no gradient is, a trial's weights are the sum of its steps' noise, and their squares add
    up to a chi-square. All trials and coordinates count and nothing is chosen, so that noise shows
    which is a little too small; of the trade-off alone, in which epsilon is read off error rates,
    1,000 trials show far less.

    Args:
        energies: (T, L) float, of each trial and layer the sum of squares of the noise there, in
            units of one step's with a multiplier of 1.
        num_coordinates: that each sum is over.
        claimed: the noise multiplier.
        error: the probability, in (0, 1), that one of the layers is accused wrongly.
    """
    trials, layers = energies.shape
    freedom = trials * num_coordinates
    least = float(chdtri(freedom, 1 - error / layers))
    at_most = math.sqrt(float(energies.sum(0).min()) / least)
    shortfall = 1 - math.sqrt(least / float(chdtri(freedom, 1 - POWER)))
    return Noise(claimed, at_most, freedom, shortfall, error)
