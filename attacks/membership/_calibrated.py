"""What a target says of an example, less what models without it say: for attacks by one number."""

from typing import Literal

import numpy as np

from attacks.membership import Examples, MembershipAttack, Needs, Sums
from attacks.membership._left_out import mean_of_class, mean_of_others


class Calibrated(MembershipAttack):
    """An attack whose `signal` is one number an example, (B, 1), higher for members.

    calibrate: `out` subtracts its mean in shadows trained without the example; an example without
        such a shadow scores NaN. `none` needs no shadow. Source: Watson et al. (2022),
        https://arxiv.org/abs/2111.08440, there of losses.
    """

    calibrate: Literal["none", "out"] = "none"

    @property
    def shadows_apart(self) -> bool:
        return True

    def needs(self, num_views: int = 1) -> Needs:
        return Needs(inside=0, outside=1 if self.calibrate == "out" else 0)

    def score(
        self,
        target: np.ndarray,
        shadows: np.ndarray,
        shadow_member: np.ndarray,
        examples: Examples,
        seed: int = 0,
    ) -> np.ndarray:
        """Return the number, less the usual one; the contract has the shapes."""
        if self.calibrate == "none":
            return target[:, 0]
        return target[:, 0] - mean_of_class(shadows[:, :, 0], shadow_member == 0)

    def score_all(
        self,
        answers: np.ndarray,
        member: np.ndarray,
        partner: np.ndarray,
        examples: Examples,
        totals: Sums,
    ) -> np.ndarray:
        """Return the scores of every model as target, without a loop over targets."""
        own = answers[:, :, 0]
        if self.calibrate == "none":
            return own
        return own - mean_of_others(own, member == 0, partner)
