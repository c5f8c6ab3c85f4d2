"""Threshold attacks: members are those with a small loss, or a sure and right answer."""

from typing import Literal

import numpy as np

from attacks.membership import Column, Examples, MembershipAttack, Needs, Sums
from attacks.membership._left_out import sum_of_others

# -log of a loss. From 148 nats, as wrong as answers get, to 1e-15, where 1 - p ends in float64.
CUTS = np.linspace(-5, 35, 161)


class Threshold(MembershipAttack):
    """A statistic of the target's own answer, higher for members, compared with a threshold.

    statistic:
        loss: log p_y, minus the cross-entropy. Source: Yeom et al. (2018),
            https://arxiv.org/abs/1709.01604.
        confidence: p_y. It ranks as the loss does, of one view and without classes, but is 1 in
            float64 from a log-odds of 37, and in the float32 of stored scores from 17: members that
            are answered so surely tie. The loss tells them apart.
        modified_entropy: minus Mentr, (1 - p_y) log p_y + sum_{i != y} p_i log(1 - p_i): the
            entropy of an answer, but of a sure and wrong one it is large. Of the plain image.
            Source: Song and Mittal (2021), https://arxiv.org/abs/2003.10595, section 4.2.
    Loss and confidence are means over the views.

    per_class: False returns the statistic itself and uses no shadow: the reader of the ROC curve
        chooses the one threshold. True subtracts the threshold of the example's class: the one that
        best tells members from non-members of that class among the shadows, by the mean of the
        true positive and true negative rates, as in Song and Mittal's code. It is one of the 161
        `CUTS`, fixed beforehand, so that blocks of examples can be added up; of equally good ones
        the lowest. If the shadows lack members or non-members of a class, it scores NaN.

    YAML: {name: threshold, statistic: modified_entropy, per_class: true}
    """

    name: Literal["threshold"] = "threshold"
    statistic: Literal["loss", "confidence", "modified_entropy"] = "loss"
    per_class: bool = False

    @property
    def cost_known(self) -> bool:
        return True

    @property
    def reads(self) -> Column:
        return "logits" if self.statistic == "modified_entropy" else "log_odds"

    @property
    def shadows_apart(self) -> bool:
        return self.per_class  # else it has no shadows

    def needs(self, num_views: int = 1) -> Needs:
        """None, or such as know members and non-members of the class, whichever those are."""
        return Needs(0, 0, of_class=self.per_class)

    def signal(self, answers: np.ndarray, examples: Examples) -> np.ndarray:
        """Return the statistic, (B, 1) float64."""
        answers = answers.astype(np.float64)
        if self.statistic == "modified_entropy":
            return -modified_entropy(answers, examples.label)[:, None]
        if self.statistic == "confidence":
            from scipy.special import expit

            return expit(answers).mean(axis=1, keepdims=True)
        return -np.logaddexp(0, -answers).mean(axis=1, keepdims=True)

    @property
    def cuts(self) -> np.ndarray:
        """The thresholds that are tried, rising, in units of the statistic."""
        if self.statistic == "modified_entropy":
            return -np.exp(-2 * CUTS)  # of a sure and right answer it is about the loss squared
        return np.exp(-np.exp(-CUTS)) if self.statistic == "confidence" else -np.exp(-CUTS)

    def score(
        self,
        target: np.ndarray,
        shadows: np.ndarray,
        shadow_member: np.ndarray,
        examples: Examples,
        seed: int = 0,
    ) -> np.ndarray:
        """Return the statistic, less the threshold of the class; the contract has the shapes."""
        if not self.per_class:
            return target[:, 0]
        counts = self._counts(shadows, shadow_member, examples).sum(axis=0)
        return target[:, 0] - self._thresholds(counts)[examples.label]

    def sums(
        self, answers: np.ndarray, member: np.ndarray, partner: np.ndarray, examples: Examples
    ) -> Sums:
        """Return how many of each model's answers lie between two cuts, by class and membership.

        Where targets have shadows of their own, it is of each target's.
        """
        if not self.per_class:
            return {}
        if member.ndim == 3:
            each = [self._counts(answers, seen, examples).sum(axis=0) for seen in member]
            return {"counts": np.stack(each)}
        return {"counts": self._counts(answers, member, examples)}

    def score_all(
        self,
        answers: np.ndarray,
        member: np.ndarray,
        partner: np.ndarray,
        examples: Examples,
        totals: Sums,
    ) -> np.ndarray:
        """Return the scores of every model as target."""
        if not self.per_class:
            return answers[:, :, 0]
        counts = totals["counts"]
        thresholds = self._thresholds(
            counts if member.ndim == 3 else sum_of_others(counts, partner)
        )
        return answers[:, :, 0] - thresholds[:, examples.label]

    def _counts(self, values: np.ndarray, member: np.ndarray, examples: Examples) -> np.ndarray:
        """(M, C, 2, 162) float64: of each model, class and membership, the values between cuts."""
        shape = (examples.num_classes, 2, len(CUTS) + 1)
        counts = []
        for of_model, row in zip(values[:, :, 0], member, strict=True):
            judged = row >= 0
            passed = np.searchsorted(self.cuts, of_model[judged], side="right")  # cuts <= value
            places = np.ravel_multi_index((examples.label[judged], row[judged], passed), shape)
            counts.append(np.bincount(places, minlength=int(np.prod(shape))).reshape(shape))
        return np.array(counts, np.float64)

    def _thresholds(self, counts: np.ndarray) -> np.ndarray:
        """The best cut of each class, (..., C), by counts (..., C, 2, 162); NaN without any."""
        number = counts.sum(axis=-1)
        below = np.cumsum(counts, axis=-1)[..., :-1]  # by cut, those that do not reach it
        num_out, num_in = number[..., :1], number[..., 1:]
        # Whole numbers, so that equally good cuts are equal to the last bit.
        right = below[..., 0, :] * num_in + (num_in - below[..., 1, :]) * num_out
        return np.where(number.min(axis=-1) > 0, self.cuts[right.argmax(axis=-1)], np.nan)


def modified_entropy(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return Mentr, in nats: 0 for a sure and right answer, and large for a sure and wrong one.

    The largest class is treated apart, since 1 minus its probability is 0 in floating point long
    before its logarithm is of no account. The others have at most probability 1/2.

    Args:
        logits: (N, C) float64 logits or log-probabilities.
        labels: (N,) int in [0, C).

    Returns:
        (N,) float64, 0 or more.
    """
    rows, top = np.arange(len(labels)), logits.argmax(axis=1)
    others = logits - logits.max(axis=1, keepdims=True)
    others[rows, top] = -np.inf
    log_odds_of_rest = np.logaddexp.reduce(others, axis=1)
    log_rest = log_odds_of_rest - np.logaddexp(0, log_odds_of_rest)
    log_p = others - np.logaddexp(0, log_odds_of_rest)[:, None]
    log_p[rows, top] = -np.logaddexp(0, log_odds_of_rest)
    p = np.exp(log_p)
    p[rows, top] = 0  # of the top, whose logarithm is taken below
    log_not = np.log1p(-p)
    p[rows, top], log_not[rows, top] = np.exp(log_p[rows, top]), log_rest
    terms = p * log_not
    terms[rows, labels] = np.exp(log_not[rows, labels]) * log_p[rows, labels]
    return -terms.sum(axis=1)
