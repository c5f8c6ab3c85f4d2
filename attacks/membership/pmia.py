"""The proxy attack: what a member's answer looks like is borrowed from other examples."""

from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np

from attacks.membership import Examples, MembershipAttack, Needs, Sums
from attacks.membership._left_out import pairs_of, sum_of_others
from attacks.membership.lira import Lira

EXAMPLES_AT_ONCE = 256  # keeps the temporary arrays of 128 models in the cache of one core
EDGES = np.arange(-8, 18, 2.0)  # of kinds by difficulty, in nats of log-odds
FLOOR = 1e-9  # of a variance, as a share of 1 + the mean square: sums hold no finer digits


class Proxies(NamedTuple):
    """What shadows trained on each of B examples answer about it.

    Of each of P sets of shadows: a target and its partner have the same.
    """

    of: np.ndarray  # (T,) int, the set of each target
    kind: np.ndarray  # (P, B, V) int, whose in-answers are like its own
    base: np.ndarray  # (P, B, V) float64, from which they are measured
    sums: np.ndarray  # (3, P, B, V) float64: their number, their sum, and that of squares


class PMIA(MembershipAttack):
    """log p(target | members like x) - log p(target | out): no shadow has to hold x.

    Source: Du et al. (2026), https://arxiv.org/abs/2507.21412, the attack of whoever trained his
    shadows before he knew x. What models without x answer he sees; what models with x answer he
    borrows from proxies: examples that his shadows were trained on, as those answer about them.

    proxy:
        all: every example of the pool ("global").
        class: those of x's class.
        difficulty: those that models without them find as hard as they find x, by the mean log-odds
            of these models in steps of 2 nats. What is borrowed is how much higher the answers of
            models with them are, and how much that scatters. The paper's third kind is "instance",
            images that look alike to CLIP; no images are among the answers, and this takes its
            place. It is not the paper's.

    The in-answers of a kind are taken as normal, by their mean and variance, where the paper's code
    has their median. To each kind is added what one answer of the average proxy would be, so that a
    kind of which there is no other has a score as well. x's own in-answers are left out of its
    proxies, whoever of the shadows holds it; that some of these have seen x while they answer about
    other examples remains. The out-model is LiRA's, `variance: shrunk`, and views are judged apart
    and averaged.

    An example scores NaN if it has fewer than two shadows without it, or there is no proxy.

    YAML: {name: pmia, proxy: class}
    """

    name: Literal["pmia"] = "pmia"
    proxy: Literal["difficulty", "class", "all"] = "difficulty"

    @property
    def shadows_apart(self) -> bool:
        return True

    def needs(self, num_views: int = 1) -> Needs:
        """Those of offline LiRA, and others that hold examples, whichever those are."""
        return self._out.needs(num_views)._replace(of_class=True)

    def score(
        self,
        target: np.ndarray,
        shadows: np.ndarray,
        shadow_member: np.ndarray,
        examples: Examples,
        seed: int = 0,
    ) -> np.ndarray:
        """Return the log-likelihood ratio; the contract has the shapes."""
        out = self._out.score(target, shadows, shadow_member, examples, seed)
        proxies = self._proxies(shadows, shadow_member, None, examples.label)
        of_kinds = self._totals(proxies, examples.num_classes)
        return out + _log_density(target[None], proxies, of_kinds)[0]

    def sums(
        self, answers: np.ndarray, member: np.ndarray, partner: np.ndarray, examples: Examples
    ) -> Sums:
        """Return LiRA's, and the sums of each kind of proxies, (P, kinds, V, 3)."""
        of_kinds = [
            self._totals(proxies, examples.num_classes)
            for _, proxies in self._parts(answers, member, partner, examples)
        ]
        return {
            "of_kinds": np.sum(of_kinds, axis=0),
            **self._out.sums(answers, member, partner, examples),
        }

    def score_all(
        self,
        answers: np.ndarray,
        member: np.ndarray,
        partner: np.ndarray,
        examples: Examples,
        totals: Sums,
    ) -> np.ndarray:
        """Return the scores of every model as target."""
        scores = self._out.score_all(answers, member, partner, examples, totals)
        for part, proxies in self._parts(answers, member, partner, examples):
            scores[:, part] += _log_density(answers[:, part], proxies, totals["of_kinds"])
        return scores

    @property
    def _out(self) -> Lira:
        """The attack whose score is -log p(target | out)."""
        return Lira(mode="offline", sides="two", views=self.views)

    def _parts(
        self, answers: np.ndarray, member: np.ndarray, partner: np.ndarray, examples: Examples
    ) -> Iterator[tuple[slice, Proxies]]:
        """The proxies of every model as target, some examples at a time."""
        for start in range(0, answers.shape[1], EXAMPLES_AT_ONCE):
            part = slice(start, min(start + EXAMPLES_AT_ONCE, answers.shape[1]))
            label = examples.label[part]
            yield part, self._proxies(answers[:, part], member[..., part], partner, label)

    def _proxies(
        self,
        answers: np.ndarray,
        member: np.ndarray,
        partner: np.ndarray | None,
        label: np.ndarray,
    ) -> Proxies:
        """The proxies of each model as target; without partners, of one that is none of them.

        Args:
            answers: (M, B, V) float.
            member: (M, B) int8, or (M, M, B) where each target has shadows of its own.
            label: (B,) int.
        """
        values, apart = answers.astype(np.float64), member.ndim == 3
        of = np.arange(len(member) if apart else 1)
        if partner is not None and not apart:
            of = pairs_of(partner).of
        inside = _powers(values, member == 1, partner)
        base, kind = np.zeros_like(inside[0]), np.zeros(inside[0].shape, np.int64)
        if self.proxy == "class":
            kind += label[:, None]
        elif self.proxy == "difficulty":
            number, total, _ = _powers(values, member == 0, partner)
            base = total / np.maximum(number, 1)
            kind = np.digitize(base, EDGES)
            inside *= number > 0  # else nobody can say how hard it is
        number, total, squares = inside
        moved = total - number * base
        squares = squares - base * (total + moved)
        return Proxies(of, kind, base, np.stack([number, moved, squares]))

    def _totals(self, proxies: Proxies, num_classes: int) -> np.ndarray:
        """The sums over examples by kind, (P, kinds, V, 3)."""
        _, num_sets, _, num_views = proxies.sums.shape
        num = {"all": 1, "class": num_classes, "difficulty": len(EDGES) + 1}[self.proxy]
        place = proxies.kind * num_views + np.arange(num_views)
        totals = np.empty((num_sets, num * num_views, 3))
        for p, k in np.ndindex(num_sets, 3):
            weights = proxies.sums[k, p].ravel()
            totals[p, :, k] = np.bincount(place[p].ravel(), weights, num * num_views)
        return totals.reshape(num_sets, num, num_views, 3)


def _powers(values: np.ndarray, in_class: np.ndarray, partner: np.ndarray | None) -> np.ndarray:
    """The number, sum and sum of squares (3, P, B, V) of a class of shadows (M, B, V)."""
    if in_class.ndim == 3:
        each = [_powers(values, of_target, None)[:, 0] for of_target in in_class]
        return np.stack(each, axis=1)
    weight = in_class.astype(np.float64)[:, :, None]
    powers = weight, weight * values, weight * values**2
    if partner is None:
        sums = [power.sum(axis=0, keepdims=True) for power in powers]
    else:
        _, first = np.unique(pairs_of(partner).of, return_index=True)
        sums = [sum_of_others(power, partner)[first] for power in powers]
    return np.stack(np.broadcast_arrays(*sums))


def _log_density(target: np.ndarray, proxies: Proxies, of_kinds: np.ndarray) -> np.ndarray:
    """The mean over views of log p(target | members like x), (T, B), by sums of each kind."""
    sets = np.arange(len(of_kinds))[:, None, None]
    places = sets, proxies.kind, np.arange(target.shape[2])
    own = np.moveaxis(proxies.sums, 0, 3)
    every = of_kinds.sum(axis=1)[:, None] - own
    average = every / np.where(every[..., :1] > 0.5, every[..., :1], np.nan)
    others = of_kinds[places] - own + average
    mean, square = np.moveaxis(others[..., 1:] / others[..., :1], 3, 0)
    variance = np.maximum(square - mean**2, FLOOR * (1 + square))
    squares = (target - (proxies.base + mean)[proxies.of]) ** 2
    squares /= variance[proxies.of]
    squares += np.log(2 * np.pi * variance)[proxies.of]
    return squares.mean(axis=2) / -2
