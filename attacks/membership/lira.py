"""The likelihood-ratio attack: does the target answer as models trained with the example do?"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, Self

import numpy as np
from pydantic import PositiveFloat, model_validator

from attacks.membership import Examples, MembershipAttack, Needs, Sums, _carlini
from attacks.membership import _spread as spread
from attacks.membership._densities import Predicted, Whitened, log_density, surprise_above, whitened
from attacks.membership._left_out import fitted, pairs_of
from attacks.membership._sorted import medians

EXAMPLES_AT_ONCE = 256  # keeps the temporary arrays of 128 models in the cache of one core

# In each preset, keys that are not given are these, where they are not the defaults below.
PRESETS: dict[str, dict[str, Any]] = {
    "lira-corrected": {},
    "lira-carlini-code": {"variance": "per_example", "centre": "median"},
}


CLASSES = {"out": 0, "in": 1}  # what a member matrix has for them
_Prediction = tuple[str, Any]  # by a class, and the freedom of its prior


class Lira(MembershipAttack):
    """Compare the target's log-odds with those of shadows trained with and without the example.

    Source: Carlini et al. (2022), https://arxiv.org/abs/2112.03570.

    online: log p(target | in) - log p(target | out).
    offline: from the out models alone. `sides: one` is -log P(out > target). The paper ranks by
    P(out < target), which is 1 in floating point from 8 standard deviations on, so that the surest
    members would tie; this has the same order and no ties. `sides: two` is -log p(target | out), by
    which an answer far too unsure scores as a member.

    variance, apart for the two classes, and normal densities but for `shrunk`:
        per_example: each example's own, divided by n; the spread is around the mean even where
            `centre` is the median, as in the authors' code. Rough from a few answers.
        pooled: one for all examples, the mean squared residual around their own means.
        shrunk: each example's own, drawn towards the others' by as much as they are alike, and a
            Student's t for what remains unknown; see `prior` in _spread.py.
            `prior_freedom` is how many residuals the others are worth: `estimated`, or a number.
        total: that of all raw answers, which counts the difference between examples as noise.
    The default, `shrunk`, found as much as any other on the answers of real models, or more, from 4
    shadows to 64, within the intervals (docs/results.md): no rule need switch between them.
    across_views: `mean` judges views apart and averages; `joint` takes the answers of an example to
        all views as one multivariate normal, or t, with the covariance of views.

    The preset lira-carlini-code is the authors' published code, and these are its faults: with
    `variance: total` (`fix_variance`) the in answers' deviation is used of both classes, over
    examples and views alike; offline it is two-sided; only an example's first shadows count, as
    many as the one with the fewest has; deviations are floored by 1e-30, which is no floor. What no
    shadow judges is no example to it.

    An example scores NaN if a class that is compared has no shadow, or G or fewer where that class
    needs a variance of the example's own for G views, judged apart G = 1. With 2 models of
    complementary pairs as shadows, no example has a residual: only `total` has scores.
    """

    name: Literal["lira"] = "lira"
    preset: Literal["lira-corrected", "lira-carlini-code"] = "lira-corrected"
    mode: Literal["online", "offline"] = "online"
    variance: Literal["per_example", "pooled", "shrunk", "total"] = "shrunk"
    prior_freedom: PositiveFloat | Literal["estimated"] | None = None  # of shrunk: estimated
    centre: Literal["mean", "median"] = "mean"
    sides: Literal["one", "two"] | None = None  # of offline: one; two in lira-carlini-code
    across_views: Literal["mean", "joint"] = "mean"

    @model_validator(mode="before")
    @classmethod
    def _keys_of_the_preset(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        preset = str(given.get("preset", "lira-corrected"))
        filled = {**PRESETS.get(preset, {}), **given}
        if filled.get("mode") == "offline" and filled.get("sides") is None:
            filled["sides"] = "two" if preset == "lira-carlini-code" else "one"
        if filled.get("variance", "shrunk") == "shrunk" and filled.get("prior_freedom") is None:
            filled["prior_freedom"] = "estimated"
        return filled

    @model_validator(mode="after")
    def _keys_fit_together(self) -> Self:
        if self.sides and self.mode == "online":
            raise ValueError(f"`sides` is of `mode: offline`, got sides {self.sides}; leave it out")
        if self.prior_freedom and self.variance != "shrunk":
            raise ValueError(
                f"`prior_freedom` is of `variance: shrunk`, got variance {self.variance}; "
                "leave it out"
            )
        if self.preset == "lira-carlini-code":
            legal = {
                "variance": ("per_example", "total"),
                "centre": ("median",),
                "sides": (None,) if self.mode == "online" else ("two",),
                "across_views": ("mean",),
            }
            for key, values in legal.items():
                if (value := getattr(self, key)) not in values:
                    raise ValueError(
                        f"expected {key} {' or '.join(map(str, values))} with the preset "
                        f"lira-carlini-code, which is that code bug for bug, got {value}; "
                        "leave the key or the preset out"
                    )
        return self

    @property
    def cost_known(self) -> bool:
        return True

    @property
    def shadows_apart(self) -> bool:
        """Not in the authors' code, which evens their numbers itself."""
        return self.preset != "lira-carlini-code"

    def needs(self, num_views: int = 1) -> Needs:
        """Two of each class that is compared, of which residuals are taken; one without any.

        Views that are judged jointly by `per_example` take as many more as there are, less one.
        """
        no_residuals = self.variance == "total" or self.preset == "lira-carlini-code"
        each = 1 if no_residuals else 2
        if self.variance == "per_example" and self.across_views == "joint":
            each += num_views - 1
        return Needs(inside=each if self.mode == "online" else 0, outside=each)

    def score(
        self,
        target: np.ndarray,
        shadows: np.ndarray,
        shadow_member: np.ndarray,
        examples: Examples,
        seed: int = 0,
    ) -> np.ndarray:
        """Return how likely each example is a member; the contract has the shapes.

        What all examples tell of the variance is told by the N given.
        """
        classes = self._classes(shadow_member)
        if self.preset == "lira-carlini-code":
            values = shadows.astype(np.float64)
            return _carlini.score(
                target.astype(np.float64), values, shadow_member, classes, self._fixed
            )
        totals = self._totals(shadows, classes, None)
        return _scores([self], target[None], shadows, classes, None, [totals])[0][0]

    def sums(
        self, answers: np.ndarray, member: np.ndarray, partner: np.ndarray, examples: Examples
    ) -> Sums:
        """Return, by class and group of views, what all examples tell of variances.

        Entry m leaves out models m and partner[m], but for `total`, where it is of model m alone.
        Nothing is returned where an example's variance is its own.
        """
        classes = self._classes(member)
        if self.preset == "lira-carlini-code":
            return _carlini.sums(answers, member, classes, partner, self._fixed)
        return self._totals(answers, classes, partner)

    def score_all(
        self,
        answers: np.ndarray,
        member: np.ndarray,
        partner: np.ndarray,
        examples: Examples,
        totals: Sums,
    ) -> np.ndarray:
        """Return the scores of every model as target: a class is fitted once, then down-dated."""
        classes = self._classes(member)
        if self.preset == "lira-carlini-code":
            return _carlini.score_all(answers, classes, partner, totals, self._fixed)
        return _scores([self], answers, answers, classes, partner, [totals])[0]

    @classmethod
    def sums_of(
        cls,
        attacks: Sequence[Self],
        answers: np.ndarray,
        member: np.ndarray,
        partner: np.ndarray,
        examples: Examples,
    ) -> list[Sums]:
        """Return the sums of each: those of offline attacks are among those of an online one."""
        if not _fit_alike(attacks):
            return super().sums_of(attacks, answers, member, partner, examples)
        sums = _widest(attacks).sums(answers, member, partner, examples)
        return [
            {key: each for key, each in sums.items() if key.startswith(attack._compared)}
            for attack in attacks
        ]

    @classmethod
    def scores_of(
        cls,
        attacks: Sequence[Self],
        answers: np.ndarray,
        member: np.ndarray,
        partner: np.ndarray,
        examples: Examples,
        totals: Sequence[Sums],
    ) -> list[np.ndarray]:
        """Return the scores of each: a class is fitted once for all of them."""
        if not _fit_alike(attacks):
            return super().scores_of(attacks, answers, member, partner, examples, totals)
        classes = _widest(attacks)._classes(member)
        return _scores(attacks, answers, answers, classes, partner, totals)

    def _totals(
        self, answers: np.ndarray, classes: Sums, partner: np.ndarray | None
    ) -> dict[str, np.ndarray]:
        """The sums of this block; without partners, of one target that is not among the models."""
        totals: dict[str, np.ndarray] = {}
        if self.variance == "per_example":
            return totals
        pairs = None if partner is None else pairs_of(partner)
        for part, place, group in self._parts(answers):
            values = answers[:, part, group].astype(np.float64)
            for name, in_class in classes.items():
                sums = spread.sums(self.variance, values, in_class[..., part], pairs)
                for key, more in sums.items():
                    key = f"{name}_{place}_{key}"
                    totals[key] = totals.get(key, 0) + more
        return totals

    def _evidence(self, found: list[Whitened]) -> np.ndarray:
        """Evidence of membership, of answers beside what the out and, for a ratio, the in say."""
        if self.sides == "one":
            return surprise_above(found[0])
        likelihoods = [log_density(of_class) for of_class in found]
        return sum(likelihoods[1:]) - likelihoods[0]

    def _predictions(self) -> list[_Prediction]:
        """Which predictions it compares an answer with."""
        return [(name, self.prior_freedom or "estimated") for name in self._compared]

    @property
    def _fixed(self) -> bool:
        return self.variance == "total"

    def _classes(self, member: np.ndarray) -> dict[str, np.ndarray]:
        """The classes that are compared, by name, and which models are of them."""
        return {name: member == CLASSES[name] for name in self._compared}

    @property
    def _compared(self) -> tuple[str, ...]:
        return ("out", "in") if self.mode == "online" else ("out",)

    def _groups(self, num_views: int) -> list[slice]:
        """The views that are judged together."""
        if self.across_views == "joint":
            return [slice(0, num_views)]
        return [slice(view, view + 1) for view in range(num_views)]

    def _parts(self, answers: np.ndarray) -> Iterator[tuple[slice, int, slice]]:
        """Slices of examples, small enough for a cache, and of views with their number."""
        _, num_examples, num_views = answers.shape
        groups = self._groups(num_views)
        together = num_views // len(groups)
        size = max(EXAMPLES_AT_ONCE // together**2, 16)
        for start in range(0, num_examples, size):
            for place, group in enumerate(groups):
                yield slice(start, min(start + size, num_examples)), place, group


def _fit_alike(attacks: Sequence[Lira]) -> bool:
    """Whether attacks differ in nothing that a fit of a class hangs on, and are nobody's subclass.

    The authors' code has fits of its own.
    """
    own = any(type(attack) is not Lira or not attack.shadows_apart for attack in attacks)
    kinds = {(attack.variance, attack.centre, attack.across_views) for attack in attacks}
    return len(kinds) == 1 and not own


def _widest(attacks: Sequence[Lira]) -> Lira:
    """The one that compares most classes."""
    return max(attacks, key=lambda attack: len(attack._compared))


def _scores(
    attacks: Sequence[Lira],
    judged: np.ndarray,
    answers: np.ndarray,
    classes: Sums,
    partner: np.ndarray | None,
    totals: Sequence[Sums],
) -> list[np.ndarray]:
    """The scores (T, B) of each of some attacks that fit alike.

    Args:
        judged: (T, B, V), targets' answers.
        answers: (M, B, V), the models'.
        classes: that any of them compares.
        totals: of each.
    """
    like, each_scores = attacks[0], [np.zeros(judged.shape[:2]) for _ in attacks]
    apart = classes["out"].ndim == 3
    kept = spread.sums_kept(len(answers), partner, apart)
    # A target and its partner have the same shadows, which are fitted once.
    pairs = None if partner is None else pairs_of(partner)
    each: Sequence[np.ndarray | slice] = [slice(None)]
    targets = pairs.targets if pairs and not apart else each
    # Attacks that predict alike have the same sums of all examples.
    of_all = {
        key: of for attack, of in zip(attacks, totals, strict=True) for key in attack._predictions()
    }
    known: dict[tuple[_Prediction, int], spread.Known] = {}
    for part, place, group in like._parts(answers):
        values = answers[:, part, group].astype(np.float64)
        fits = {name: fitted(values, of[..., part], pairs) for name, of in classes.items()}
        centres = {name: found.mean for name, found in fits.items()}
        if like.centre == "median":
            centres = {
                name: medians(values, of[..., part], partner)[targets[0]]
                for name, of in classes.items()
            }
        predicted = {}
        for (name, freedom), sums in of_all.items():
            key = (name, freedom), place
            if key not in known:
                of = spread.named(sums, f"{name}_{place}_")
                known[key] = spread.known(like.variance, of, freedom, kept, targets[0])
            predicted[key[0]] = spread.predicted(centres[name], fits[name], known[key])
        of_part = [scores[:, part] for scores in each_scores]
        _add_evidence(attacks, judged[:, part, group], predicted, targets, of_part)
    for scores in each_scores:
        scores /= len(like._groups(answers.shape[2]))
    return each_scores


def _add_evidence(
    attacks: Sequence[Lira],
    judged: np.ndarray,
    predicted: Mapping[_Prediction, Predicted],
    targets: Sequence[np.ndarray | slice],
    each_scores: Sequence[np.ndarray],
) -> None:
    """Add what each attack says of answers (T, B, G) to its scores (T, B).

    Args:
        predicted: of as many targets as each of `targets` has; a target may be in several.
    """
    seen = []
    for some in targets:
        own = judged[some].astype(np.float64)
        seen.append((some, {key: whitened(own, of) for key, of in predicted.items()}))
    for attack, scores in zip(attacks, each_scores, strict=True):
        evidence = np.empty_like(scores)
        for some, found in seen:
            evidence[some] = attack._evidence([found[key] for key in attack._predictions()])
        scores += evidence
