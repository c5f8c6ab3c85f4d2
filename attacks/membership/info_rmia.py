"""The relative attack by information: how many bits does the target know of the example more?"""

from typing import Literal, NamedTuple

import numpy as np

from attacks.membership import Examples, Sums
from attacks.membership._left_out import mean_of_class, mean_of_others
from attacks.membership._relative import Relative, mean_probability


class Gains(NamedTuple):
    """What targets know of B examples beside what references do; NaN where there is none."""

    bits: np.ndarray  # (T, B) float64, log2 of p(x|target) / p(x)
    expected: np.ndarray  # (T, B) float64, p(x)


class InfoRMIA(Relative):
    """log2 p(x|target) / p(x) + D, D = KL(p(z) || p(z|target)): bits, where RMIA counts wins.

    Source: Tao and Shokri (2025), https://arxiv.org/abs/2510.05582, in the reading that public code
    of others has as well: p is the probability of the label, D is
    sum of p(z) log2 p(z) / p(z|target) over z, divided by the sum of p(z).

    D is one number for all examples of a target, so within a target it changes no order, which is
    that of x's own ratio; that is RMIA's order too (`rmia-simple`), but for its ties: RMIA counts
    num_z comparisons, and the surest members tie at 1, where small false-positive rates are read
    off. D is the scale that several targets share: a target that is less sure of all images than
    the references is not taken for one that saw none of them. It costs two sums a target, so z are
    all examples of the pool with a reference, whoever's members they are, and x is among them. The
    paper's z are non-members; to take the target's would tell who is one.

    online: p(x) is the mean over all references, trained with x or without: beyond whether a model
        is judged on x it uses no membership.
    offline: p(x) = ((1 + a) p_out(x) + 1 - a) / 2, p_out from references trained without x.

    a: 0.3, or 0.6 from 100 classes on, as of `rmia`.
    Probabilities are softmax at temperature 1, averaged over views.

    An example scores NaN if it has no reference of the kind.

    YAML: {name: info_rmia, mode: offline}
    """

    name: Literal["info_rmia"] = "info_rmia"

    def signal(self, answers: np.ndarray, examples: Examples) -> np.ndarray:
        """Return the mean probability of the label over views, (B, 1) float64."""
        return mean_probability(answers)

    def score(
        self,
        target: np.ndarray,
        shadows: np.ndarray,
        shadow_member: np.ndarray,
        examples: Examples,
        seed: int = 0,
    ) -> np.ndarray:
        """Return the bits that x gains, plus D; the contract has the shapes."""
        mean = mean_of_class(shadows[:, :, 0], self.known(shadow_member))
        gains = self._gains(target[None, :, 0], mean[None], examples)
        return (gains.bits + _divergence(_sums(gains)))[0]

    def sums(
        self, answers: np.ndarray, member: np.ndarray, partner: np.ndarray, examples: Examples
    ) -> Sums:
        """Return sums over z of p(z) times its bits, and of p(z), (M, 2)."""
        return {"of_z": _sums(self._of_all(answers, member, partner, examples))}

    def score_all(
        self,
        answers: np.ndarray,
        member: np.ndarray,
        partner: np.ndarray,
        examples: Examples,
        totals: Sums,
    ) -> np.ndarray:
        """Return the scores of every model as target."""
        gains = self._of_all(answers, member, partner, examples)
        return gains.bits + _divergence(totals["of_z"])

    def _of_all(
        self, answers: np.ndarray, member: np.ndarray, partner: np.ndarray, examples: Examples
    ) -> Gains:
        """The gains of every model as target."""
        mean = mean_of_others(answers[:, :, 0], self.known(member), partner)
        return self._gains(answers[:, :, 0], mean, examples)

    def _gains(self, target: np.ndarray, mean: np.ndarray, examples: Examples) -> Gains:
        """The gains of targets (T, B) over the mean of references (T, B)."""
        mean = self.expected(mean, examples.num_classes)
        return Gains(np.log2(target) - np.log2(mean), mean)


def _sums(gains: Gains) -> np.ndarray:
    """Sums over examples of p(z) times its bits, and of p(z), (T, 2)."""
    known = ~np.isnan(gains.bits)
    weight = np.where(known, gains.expected, 0)
    return np.stack([(weight * np.where(known, gains.bits, 0)).sum(axis=1), weight.sum(axis=1)], 1)


def _divergence(of_z: np.ndarray) -> np.ndarray:
    """D of each target in bits, (T, 1), by sums (T, 2); 0 where no z has a reference."""
    return -(of_z[:, :1] / np.where(of_z[:, 1:] > 0, of_z[:, 1:], 1))
