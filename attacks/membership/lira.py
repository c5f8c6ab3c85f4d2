"""The likelihood-ratio attack: does the target answer as models trained with the example do?"""

from typing import Literal, NamedTuple, Self

import numpy as np
from scipy.special import log_ndtr

from attacks.membership import Examples, MembershipAttack, Sums

# One float32 step near a log-odds of 14, squared: answers that differ by less are equal.
VARIANCE_FLOOR = 1e-12
EXAMPLES_AT_ONCE = 256  # keeps the temporary arrays of 128 models in the cache of one core


class Normal(NamedTuple):
    """Normal distributions; the fields broadcast to the values that are judged."""

    mean: np.ndarray
    variance: np.ndarray


class Lira(MembershipAttack):
    """Compare the target's log-odds with those of shadows trained with and without the example.

    Source: Carlini et al. (2022), https://arxiv.org/abs/2112.03570.

    online: the mean over views of log N(target; in) - log N(target; out).
    offline: the mean over views of -log P(out > target), one-sided, from the out models alone. The
    paper ranks by P(out < target), which is 1 in floating point from 8 standard deviations on, so
    that the surest members would tie; this has the same order and no ties.

    Means and standard deviations, divided by n, are taken per view, and apart for the two classes.
    `variance: per_example` estimates each example's own. `pooled` gives all examples of a class
    the mean squared residual around their own means; many public codes take the spread of the raw
    answers instead, which counts the difference between examples as noise, and use that of the in
    models twice. `auto` pools below 64 models, as the paper advises, for a variance of a few
    answers is rough. Where the crossing lies depends on the answers: Gaussian ones of unequal
    variances, simulated, had it near 16 models. Name the one you mean when you report.

    An example scores NaN if a class that is compared has no shadow, or only one where that class
    needs a variance of the example's own.
    """

    name: Literal["lira"] = "lira"
    mode: Literal["online", "offline"] = "online"
    variance: Literal["auto", "per_example", "pooled"] = "auto"

    def resolved(self, num_models: int) -> Self:
        """Return the attack with the variance that `auto` takes at this number of models."""
        variance = "pooled" if self._pools(num_models) else "per_example"
        return self.model_copy(update={"variance": variance})

    def score(
        self,
        target: np.ndarray,
        shadows: np.ndarray,
        shadow_member: np.ndarray,
        examples: Examples,
        seed: int = 0,
    ) -> np.ndarray:
        """Return how likely each example is a member; the contract has the shapes.

        `auto` counts the target and its partner, which are not among the shadows, as models.
        `pooled` pools over the N examples given.
        """
        pools = self._pools(len(shadows) + 2)
        values = shadows.astype(np.float64)
        normals = [_fit(values, shadow_member == c, pools) for c in self._classes().values()]
        return _evidence(target.astype(np.float64), normals).mean(axis=1)

    def sums(
        self, answers: np.ndarray, member: np.ndarray, partner: np.ndarray, examples: Examples
    ) -> Sums:
        """Return per class the squared residuals (M, V) and the number of shadows (M,) in them.

        Entry m leaves out models m and partner[m]. Examples with fewer than two shadows of the
        class have no residual and are not counted. Nothing is returned where nothing is pooled.
        """
        num_models, num_examples, num_views = answers.shape
        if not self._pools(num_models):
            return {}
        totals: dict[str, np.ndarray] = {}
        for name, c in self._classes().items():
            squares, count = np.zeros((num_models, num_views)), np.zeros(num_models)
            for part in _parts(num_examples):
                for view in range(num_views):
                    left = _leave_out(answers[:, part, view], member[:, part] == c, partner)
                    squares[:, view] += np.where(left.number > 1, left.squares, 0).sum(axis=1)
                    if view == 0:
                        count += np.where(left.number > 1, left.number, 0).sum(axis=1)
            totals |= {f"{name}_squares": squares, f"{name}_count": count}
        return totals

    def score_all(
        self,
        answers: np.ndarray,
        member: np.ndarray,
        partner: np.ndarray,
        examples: Examples,
        totals: Sums,
    ) -> np.ndarray:
        """Return the scores of every model as target: a class is fitted once, then down-dated."""
        num_models, num_examples, num_views = answers.shape
        pools = self._pools(num_models)
        scores = np.zeros((num_models, num_examples))
        for part in _parts(num_examples):
            for view in range(num_views):
                values, normals = answers[:, part, view].astype(np.float64), []
                for name, c in self._classes().items():
                    left = _leave_out(values, member[:, part] == c, partner)
                    if pools:
                        squares = totals[f"{name}_squares"][:, view, None]
                        variance = _variance(squares, totals[f"{name}_count"][:, None])
                    else:
                        variance = _variance(left.squares, left.number)
                    mean = np.where(left.number > 0, left.mean, np.nan)
                    normals.append(Normal(mean, variance))
                scores[:, part] += _evidence(values, normals)
        return scores / num_views

    def _pools(self, num_models: int) -> bool:
        return self.variance == "pooled" or (self.variance == "auto" and num_models < 64)

    def _classes(self) -> dict[str, int]:
        """The classes that are compared, by name and by their number in the member matrix."""
        return {"out": 0, "in": 1} if self.mode == "online" else {"out": 0}


def _evidence(values: np.ndarray, normals: list[Normal]) -> np.ndarray:
    """Evidence of membership, given the out normal and, for a likelihood ratio, the in normal."""
    if len(normals) == 1:
        (outside,) = normals
        return -log_ndtr((outside.mean - values) / np.sqrt(outside.variance))
    outside, inside = (
        np.square(values - n.mean) / n.variance + np.log(n.variance) for n in normals
    )
    return (outside - inside) / 2


def _variance(squares: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Mean of squares over a count; NaN where fewer than two shadows were counted."""
    variance = np.maximum(squares / np.maximum(count, 1), VARIANCE_FLOOR)
    return np.where(count > 1, variance, np.nan)


def _fit(values: np.ndarray, in_class: np.ndarray, pools: bool) -> Normal:
    """Normals of one class of (S, N, V) values, with in_class (S, N) bool."""
    in_class, count = in_class[:, :, None], in_class.sum(axis=0)[:, None]
    mean = np.sum(values, axis=0, where=in_class) / np.maximum(count, 1)
    squares = np.sum(np.square(values - mean), axis=0, where=in_class)
    if pools:
        counted = np.where(count > 1, count, 0)
        squares, counted = np.where(count > 1, squares, 0).sum(axis=0), counted.sum(axis=0)
        variance = _variance(squares, counted)
    else:
        variance = _variance(squares, count)
    return Normal(np.where(count > 0, mean, np.nan), variance)


class LeftOut(NamedTuple):
    """Statistics of a class without target m and its partner, each (M, B)."""

    number: np.ndarray
    mean: np.ndarray
    squares: np.ndarray  # sum of squared residuals around `mean`


def _leave_out(values: np.ndarray, in_class: np.ndarray, partner: np.ndarray) -> LeftOut:
    """Statistics of a class of (M, B) values, for each target without itself and its partner.

    Two passes: with residuals r around the mean of the whole class, leaving out a set R moves the
    mean by -sum_R r / n' and takes sum_R r^2 + (sum_R r)^2 / n' from the squares, n' models left.
    """
    weight = in_class.astype(np.float64)
    count = weight.sum(axis=0)
    centre = np.sum(weight * values, axis=0) / np.maximum(count, 1)
    residual = values - centre
    residual *= weight
    squares = np.square(residual)
    total = squares.sum(axis=0)
    alone = partner == np.arange(len(partner))

    def with_partner(each: np.ndarray) -> np.ndarray:
        partners = each[partner]
        partners[alone] = 0
        return partners + each

    left = count - with_partner(weight)
    divisor = np.maximum(left, 1)
    moved = with_partner(residual)
    mean = centre - moved / divisor
    left_squares = total - with_partner(squares) - np.square(moved) / divisor
    np.maximum(left_squares, 0, out=left_squares)
    cancelled = (left_squares < 1e-6 * total) & (total > VARIANCE_FLOOR) & (left > 1)
    if cancelled.any():
        _refit(values, weight, partner, cancelled, LeftOut(left, mean, left_squares))
    return LeftOut(left, mean, left_squares)


def _refit(
    values: np.ndarray,
    weight: np.ndarray,
    partner: np.ndarray,
    where: np.ndarray,
    left: LeftOut,
) -> None:
    """Fit anew where a difference of sums would keep fewer than ten digits of the squares."""
    for target in np.flatnonzero(where.any(axis=1)):
        examples = np.flatnonzero(where[target])
        weights, chosen = weight[:, examples], values[:, examples].astype(np.float64)
        weights[[target, partner[target]]] = 0
        mean = np.sum(weights * chosen, axis=0) / left.number[target, examples]
        left.mean[target, examples] = mean
        left.squares[target, examples] = np.sum(weights * np.square(chosen - mean), axis=0)


def _parts(num_examples: int) -> list[slice]:
    starts = range(0, num_examples, EXAMPLES_AT_ONCE)
    return [slice(start, min(start + EXAMPLES_AT_ONCE, num_examples)) for start in starts]
