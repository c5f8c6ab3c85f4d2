"""The loss-trace attack: how did the example's loss move while the target was trained?"""

from typing import Literal

import numpy as np

from attacks.membership import Column, Examples
from attacks.membership._calibrated import Calibrated


class LossTrace(Calibrated):
    """A statistic of the target's losses on the example after each epoch, higher for members.

    Source: Pollock et al. (2024), https://arxiv.org/abs/2411.05743, who rank the members of one
    training by it, to tell at no cost whom LiRA would find. The attacker watched the training: he
    has the loss of the plain image, in eval mode, after every epoch (`training.loss_trace`), and no
    shadow. That is more than whoever is given the trained model has.

    statistic:
        mean: minus the mean loss over epochs: who is learned early, and stays so.
        iqr: the interquartile range of the losses over epochs, "LT-IQR", by linear interpolation.
            It ranks members by how exposed they are, and tells few of them from the others: who is
            learned early has a small range, and so has a stranger whom the model never doubts
            (docs/results.md has both). Here it has a sign: minus where the loss rose, that is where
            the mean of the second half of epochs is above that of the first. The paper looks at
            members, whose losses fall. An audit looks at the others too, whose losses rise again
            while the model overfits, with a range as large.

    calibrate: `out` subtracts the mean statistic of shadows trained without the example, so that
        what is hard for every model counts for nothing; an example without such a shadow scores
        NaN. `none` needs no shadow.

    Of one epoch there is no range: `iqr` is 0 for every example. Epochs count alike, however few
    they are and however the learning rate moved.

    YAML: {name: loss_trace, statistic: iqr}
    """

    name: Literal["loss_trace"] = "loss_trace"
    statistic: Literal["mean", "iqr"] = "mean"

    @property
    def cost_known(self) -> bool:
        return True

    @property
    def reads(self) -> Column:
        return "loss_trace"

    def signal(self, answers: np.ndarray, examples: Examples) -> np.ndarray:
        """Return the statistic of losses (B, E), (B, 1) float64."""
        losses = answers.astype(np.float64)
        if self.statistic == "mean":
            return -losses.mean(axis=1, keepdims=True)
        low, high = np.quantile(losses, (0.25, 0.75), axis=1)
        half = -(-losses.shape[1] // 2)
        rose = losses[:, -half:].mean(axis=1) > losses[:, :half].mean(axis=1)
        return (np.where(rose, -1, 1) * (high - low))[:, None]
