"""The label-only attack: is the target right about the example, and about its views?"""

from typing import Literal

import numpy as np

from attacks.membership import Column, Examples
from attacks.membership._calibrated import Calibrated


class LabelOnly(Calibrated):
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

    @property
    def reads(self) -> Column:
        return "correct"

    def signal(self, answers: np.ndarray, examples: Examples) -> np.ndarray:
        """Return the share of the V views that are answered rightly, (B, 1)."""
        return answers.mean(axis=1, dtype=np.float64, keepdims=True)
