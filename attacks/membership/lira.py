"""The likelihood-ratio attack: does the target answer as models trained with the example do?"""

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Literal, Self

import numpy as np
from pydantic import PositiveFloat, model_validator

from attacks.membership import Examples, MembershipAttack, Needs, Sums, _carlini
from attacks.membership import _spread as spread
from attacks.membership._densities import Predicted, log_density, surprise_above
from attacks.membership._left_out import fitted, pairs_of
from attacks.membership._sorted import medians

EXAMPLES_AT_ONCE = 256  # keeps the temporary arrays of 128 models in the cache of one core

# In each preset, keys that are not given are these, where they are not the defaults below.
PRESETS: dict[str, dict[str, Any]] = {
    "lira-corrected": {},
    "lira-carlini-code": {"variance": "per_example", "centre": "median"},
}


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

    cost_known: ClassVar[bool] = True

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
        return self._scores(target[None], shadows, classes, None, totals)[0]

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
        return self._scores(answers, answers, classes, partner, totals)

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

    def _scores(
        self,
        judged: np.ndarray,
        answers: np.ndarray,
        classes: Sums,
        partner: np.ndarray | None,
        totals: Sums,
    ) -> np.ndarray:
        """The scores (T, B) of targets' answers (T, B, V), by the models' answers (M, B, V)."""
        freedom, scores = self.prior_freedom or "estimated", np.zeros(judged.shape[:2])
        apart = classes["out"].ndim == 3
        kept = spread.sums_kept(len(answers), partner, apart)
        # A target and its partner have the same shadows, which are fitted once.
        pairs = None if partner is None else pairs_of(partner)
        each: Sequence[np.ndarray | slice] = [slice(None)]
        targets = pairs.targets if pairs and not apart else each
        known: dict[tuple[str, int], spread.Known] = {}
        for part, place, group in self._parts(answers):
            values, predicted = answers[:, part, group].astype(np.float64), []
            for name, in_class in classes.items():
                if (name, place) not in known:
                    of = spread.named(totals, f"{name}_{place}_")
                    known[name, place] = spread.known(self.variance, of, freedom, kept, targets[0])
                found = fitted(values, in_class[..., part], pairs)
                centre = found.mean
                if self.centre == "median":
                    centre = medians(values, in_class[..., part], partner)[targets[0]]
                predicted.append(spread.predicted(centre, found, known[name, place]))
            evidence = np.empty_like(scores[:, part])
            for some in targets:
                evidence[some] = self._evidence(judged[some, part, group], predicted)
            scores[:, part] += evidence
        scores /= len(self._groups(answers.shape[2]))
        return scores

    def _evidence(self, judged: np.ndarray, predicted: list[Predicted]) -> np.ndarray:
        """Evidence of membership, of what the out and, for a ratio, the in models predict."""
        if self.sides == "one":
            return surprise_above(judged, predicted[0])
        likelihoods = [log_density(judged, of_class) for of_class in predicted]
        return sum(likelihoods[1:]) - likelihoods[0]

    @property
    def _fixed(self) -> bool:
        return self.variance == "total"

    def _classes(self, member: np.ndarray) -> dict[str, np.ndarray]:
        """The classes that are compared, by name, and which models are of them."""
        numbers = {"out": 0, "in": 1} if self.mode == "online" else {"out": 0}
        return {name: member == number for name, number in numbers.items()}

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
