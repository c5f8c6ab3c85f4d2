"""The label-only attack: is the target right about the example, and about its views?"""

from typing import Literal

import numpy as np

from attacks.membership import Column, Examples, MembershipAttack, Needs, Sums
from attacks.membership._left_out import mean_of_class, mean_of_others


class LabelOnly(MembershipAttack):
    """The share of views that the target gives the right label: it needs no probabilities.

    Source: Choquette-Choo et al. (2021), https://arxiv.org/abs/2007.14321, section 4.2. They train
    a network on which views are right; the share is its symmetric case. With one view it is the
    gap attack of Yeom et al. (2018), https://arxiv.org/abs/1709.01604: members are those that are
    answered rightly.

    Shares take V + 1 values, so a ROC curve has as few corners, and a small false-positive rate is
    mostly one that the attack does not reach: then its TPR there by a step rule is 0, below chance,
    which is no sign of privacy, and a warning of the report says so.

    calibrate: `out` subtracts the mean share in shadows trained without the example, so that
        what every model is right about counts for nothing. Source: Watson et al. (2022),
        https://arxiv.org/abs/2111.08440, there of losses. An example without such a shadow
        scores NaN. `none` needs no shadow.

    YAML: {name: label_only, calibrate: out}
    """

    name: Literal["label_only"] = "label_only"
    calibrate: Literal["none", "out"] = "none"

    @property
    def reads(self) -> Column:
        return "correct"

    @property
    def shadows_apart(self) -> bool:
        return True

    def needs(self, num_views: int = 1) -> Needs:
        return Needs(inside=0, outside=1 if self.calibrate == "out" else 0)

    def signal(self, answers: np.ndarray, examples: Examples) -> np.ndarray:
        """Return the share of the V views that are answered rightly, (B, 1)."""
        return answers.mean(axis=1, dtype=np.float64, keepdims=True)

    def score(
        self,
        target: np.ndarray,
        shadows: np.ndarray,
        shadow_member: np.ndarray,
        examples: Examples,
        seed: int = 0,
    ) -> np.ndarray:
        """Return the share of views, less the usual one; the contract has the shapes."""
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
        share = answers[:, :, 0]
        if self.calibrate == "none":
            return share
        return share - mean_of_others(share, member == 0, partner)
