"""The relative attack: does the target gain more on the example than on others of the pool?"""

from typing import Annotated, Literal, NamedTuple, Self

import numpy as np
from pydantic import Field, PositiveFloat, model_validator

from attacks.membership import Column, Examples, Sums
from attacks.membership._left_out import mean_of_others
from attacks.membership._relative import (
    MANY_CLASSES,
    SMALLEST,
    Relative,
    mean_probability,
    share_won,
    taylor_softmax,
    wins_of,
)
from attacks.membership._sorted import trimmed_mean, trimmed_mean_left_out

MARGIN = 0.6  # of the 2024 signal


class Preset(NamedTuple):
    """What a preset fixes, and the gamma that it takes unless one is given."""

    gamma: float
    trim: float  # share of the references dropped at each end, by their probability
    reads: Column


PRESETS = {
    "rmia-simple": Preset(gamma=1.0, trim=0.0, reads="log_odds"),
    "rmia-2024": Preset(gamma=2.0, trim=0.2, reads="view_logits"),
}


class RMIA(Relative):
    """Count the examples z of the pool with p(x|target) / p(x) > gamma * p(z|target) / p(z).

    Source: Zarifzadeh, Liu and Shokri (2024), https://arxiv.org/abs/2312.03262. The score is the
    share of such z, which are `num_z` places of the pool, or all of them if it has fewer, drawn
    alike for every target and without a look at membership. x is not compared with itself.

    What z does: within one target and one view the score is a step function of x's own ratio, so z
    changes no order there. It coarsens it into num_z steps, and the surest members tie at 1, where
    small false-positive rates are read off. What it gives is a common scale for several targets.

    online: p(x) is the mean over all references, trained with x or without: beyond whether a model
        is judged on x it uses no membership.
    offline: p(x) = ((1 + a) p_out(x) + 1 - a) / 2, p_out from references trained without x.

    preset:
        rmia-simple: softmax probabilities at temperature 1, averaged over views, gamma 1, and the
            mean over references: privacy_meter's second version, but for its search for `a` by
            attacks on the target's paired model, and but for the two faults below.
        rmia-2024: of the paper and its code. Taylor softmax with a soft margin
            (`taylor_softmax` in _relative.py), gamma 2, the mean over references without a fifth at
            each end, and of several views those vote for each z; a tie is a no. `temperature` is 2,
            or 1 from 100 classes on. It costs num_z comparisons for each view of each answer.
    a: 0.3, or 0.6 from 100 classes on, the paper's values for CIFAR-10 and CIFAR-100.

    The research code differs: its z are the target's non-members, told by the very row that is to
    be found, and a correction meant for self-comparisons adds a win to each of those; it asks in
    train mode, where an answer depends on its batch. privacy_meter's second version differs: it
    zeroes IN answers, sorts, and keeps as many as should be OUT; of z, which are OUT everywhere,
    that is the larger half, so p(z) is too large; and its LOSS attack has the sign of the
    probability wrong. The tests have both.

    An example scores NaN if it has no reference of the kind. A z without one is not compared with:
    where few examples of the pool are judged, as canaries are, few of z are left, scores take as
    few values, and a larger `num_z` is due.

    YAML: {name: rmia, mode: offline, a: 0.5, num_z: 1000}
    YAML: {name: rmia, preset: rmia-2024, mode: offline, views: [identity]}
    """

    name: Literal["rmia"] = "rmia"
    preset: Literal["rmia-simple", "rmia-2024"] = "rmia-simple"
    gamma: Annotated[float, Field(ge=1)] | None = None
    temperature: PositiveFloat | None = None
    num_z: Annotated[int, Field(ge=2, le=32767)] = 2500  # ranks among them are int16

    @model_validator(mode="after")
    def _keys_matter(self) -> Self:
        if self.temperature is not None and self.preset == "rmia-simple":
            raise ValueError(
                "rmia-simple reads log-odds, which are at temperature 1; leave `temperature` out, "
                "or choose preset rmia-2024"
            )
        return self

    @property
    def cost_known(self) -> bool:
        """Of rmia-simple, whose score takes 0.13 to 0.16 us of a core, LiRA's 0.06 to 0.15."""
        return self.preset == "rmia-simple"

    @property
    def reads(self) -> Column:
        return PRESETS[self.preset].reads

    def signal(self, answers: np.ndarray, examples: Examples) -> np.ndarray:
        """Return probabilities of the label, (B, 1) of rmia-simple and else (B, V), float64."""
        if self.preset == "rmia-simple":
            return mean_probability(answers)
        usual = 1.0 if examples.num_classes >= MANY_CLASSES else 2.0
        p = taylor_softmax(answers, examples.label, self.temperature or usual, MARGIN)
        return np.maximum(p, SMALLEST)

    def score(
        self,
        target: np.ndarray,
        shadows: np.ndarray,
        shadow_member: np.ndarray,
        examples: Examples,
        seed: int = 0,
    ) -> np.ndarray:
        """Return the share of z that x beats; the contract has the shapes."""
        known = self.known(shadow_member)
        means = [trimmed_mean(shadows[:, :, v], known, self._trim) for v in range(target.shape[1])]
        ratio = target / self.expected(np.stack(means, axis=1), examples.num_classes)
        wins, compared = np.zeros((2, len(ratio)))
        for z in self.places(examples.num_pool):
            if not np.isnan(ratio[z]).any():
                beaten = ratio > self._gamma * ratio[z]
                wins += 2 * beaten.sum(axis=1) > ratio.shape[1]
                compared += examples.number != z
        return share_won(wins, compared, ratio)

    def sums(
        self, answers: np.ndarray, member: np.ndarray, partner: np.ndarray, examples: Examples
    ) -> Sums:
        """Return the ratios of z, (M, num_z, V), 0 for those that lie in other blocks."""
        z = self.places(examples.num_pool)
        rank = np.flatnonzero(np.isin(z, examples.number))
        here = np.searchsorted(examples.number, z[rank])
        part = Examples(z[rank], examples.label[here], examples.num_pool, examples.num_classes)
        ratios = np.zeros((len(answers), len(z), answers.shape[2]))
        ratios[:, rank] = self._ratios(answers[:, here], member[..., here], partner, part)
        return {"ratios": ratios}

    def score_all(
        self,
        answers: np.ndarray,
        member: np.ndarray,
        partner: np.ndarray,
        examples: Examples,
        totals: Sums,
    ) -> np.ndarray:
        """Return the scores of every model as target: x is ranked among the sorted ratios of z."""
        ratios = self._ratios(answers, member, partner, examples)
        is_z = np.isin(self.places(examples.num_pool), examples.number)
        place = np.searchsorted(examples.number, self.places(examples.num_pool)[is_z])
        scores = []
        for ratio, of_z in zip(ratios, totals["ratios"], strict=True):
            usable = ~np.isnan(of_z).any(axis=1)
            compared = np.full(len(ratio), usable.sum(), np.float64)
            compared[place] -= usable[is_z]
            wins = wins_of(ratio, self._gamma * of_z[usable])
            scores.append(share_won(wins, compared, ratio))
        return np.stack(scores)

    def places(self, num_pool: int) -> np.ndarray:
        """Return the places of z in the pool, rising; NumPy promises that they never change."""
        return np.sort(np.random.RandomState(0).permutation(num_pool)[: self.num_z])

    @property
    def _gamma(self) -> float:
        return PRESETS[self.preset].gamma if self.gamma is None else self.gamma

    @property
    def _trim(self) -> float:
        return PRESETS[self.preset].trim

    def _ratios(
        self, answers: np.ndarray, member: np.ndarray, partner: np.ndarray, examples: Examples
    ) -> np.ndarray:
        """p(x|target) / p(x) of every model as target, (M, B, V)."""
        known, means = self.known(member), []
        for view in range(answers.shape[2]):
            values = answers[:, :, view]
            if self._trim:
                means.append(trimmed_mean_left_out(values, known, partner, self._trim))
            else:
                means.append(mean_of_others(values, known, partner))
        return answers / self.expected(np.stack(means, axis=2), examples.num_classes)
