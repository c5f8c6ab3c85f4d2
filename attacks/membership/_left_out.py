"""Sums, means and squares of models without one target and its partner, for all targets."""

from typing import NamedTuple

import numpy as np

# One float32 step near a log-odds of 14, squared: answers that differ by less are equal.
VARIANCE_FLOOR = 1e-12


class Moments(NamedTuple):
    """Statistics of a class of models for each of T targets.

    Views that are judged together are one group of G; views that are judged apart have G = 1.
    """

    number: np.ndarray  # (T, B) float, how many models
    mean: np.ndarray  # (T, B, G)
    squares: np.ndarray  # (T, B, G, G), sums of products of residuals around `mean`


class Pairs(NamedTuple):
    """P sets of models that targets leave out: a target and its partner leave out the same."""

    first: np.ndarray  # (P,) int, the lower model of each
    second: np.ndarray  # (P,) int, the higher one, or the same where a model is left out alone
    of: np.ndarray  # (M,) int, the set of each model as target

    @property
    def targets(self) -> list[np.ndarray]:
        """The first target of each set, and the last where that is another one."""
        _, first = np.unique(self.of, return_index=True)
        _, last = np.unique(self.of[::-1], return_index=True)
        last = len(self.of) - 1 - last
        return [first] if np.array_equal(first, last) else [first, last]


def pairs_of(partner: np.ndarray) -> Pairs:
    """Return who leaves out whom, given the partner of each model, or the model itself, (M,)."""
    both = np.sort(np.stack([np.arange(len(partner)), partner], axis=1), axis=1)
    sets, of = np.unique(both, axis=0, return_inverse=True)
    return Pairs(sets[:, 0], sets[:, 1], of.reshape(-1))


def fitted(values: np.ndarray, in_class: np.ndarray, pairs: Pairs | None) -> Moments:
    """Return a class's statistics for each pair, for each target, or for one that is no model here.

    Args:
        values: (M, B, G) float64.
        in_class: (M, B) bool, or (T, M, B) where each target has shadows of its own.
        pairs: not looked at there; None: of one target that is not among the models.
    """
    if in_class.ndim == 3:
        each = [moments(values, of_target) for of_target in in_class]
        return Moments(*(np.concatenate(of_all) for of_all in zip(*each, strict=True)))
    if pairs is None:
        return moments(values, in_class)
    return moments_of_pairs(values, in_class, pairs)


def moments(values: np.ndarray, in_class: np.ndarray) -> Moments:
    """Return the statistics of all S models given, for one target, which is not among them.

    Args:
        values: (S, B, G) float64.
        in_class: (S, B) bool.
    """
    weight = in_class.astype(np.float64)[:, :, None]
    count = weight.sum(axis=0)
    mean = np.sum(weight * values, axis=0) / np.maximum(count, 1)
    squares = outer(weight * (values - mean)).sum(axis=0)
    return Moments(count[None, :, 0], mean[None], squares[None])


def moments_left_out(values: np.ndarray, in_class: np.ndarray, partner: np.ndarray) -> Moments:
    """Return the statistics of a class for each target without itself and its partner.

    Args:
        values: (M, B, G) float64.
        in_class: (M, B) bool.
        partner: (M,) int; a model that is its own partner is left out alone.
    """
    pairs = pairs_of(partner)
    return Moments(*(each[pairs.of] for each in moments_of_pairs(values, in_class, pairs)))


def moments_of_pairs(values: np.ndarray, in_class: np.ndarray, pairs: Pairs) -> Moments:
    """Return the statistics of a class without each of P pairs.

    Two passes: with residuals r around the mean of the whole class, leaving out a set R moves the
    mean by -sum_R r / n' and takes sum_R r r' + (sum_R r)(sum_R r)' / n' from the squares, with n'
    models left. Where that would cancel, the class is fitted anew.
    """
    sums_of = _sums_of_halves if _are_halves(in_class, pairs) else _sums_of_pairs
    count, centre, total, out = sums_of(values, in_class, pairs)
    number = count - out.number
    divisor = np.maximum(number, 1)[:, :, None]
    mean = centre - out.residuals / divisor
    left = total - out.squares
    left -= outer(out.residuals) / divisor[..., None]
    left_diagonal, diagonal = (np.einsum("...gg->...g", each) for each in (left, total))
    np.maximum(left_diagonal, 0, out=left_diagonal)
    few_digits = (left_diagonal < 1e-6 * diagonal) & (diagonal > VARIANCE_FLOOR)
    found = Moments(number, mean, left)
    cancelled = few_digits.any(axis=2) & (found.number > 1)
    if cancelled.any():
        _fit_anew(values, in_class, pairs, cancelled, found)
    return found


class _Out(NamedTuple):
    """What each of P pairs has in the class, and takes from it."""

    number: np.ndarray  # (P, B) float
    residuals: np.ndarray  # (P, B, G), sums of them around the mean of the whole class
    squares: np.ndarray  # (P, B, G, G)


def _sums_of_pairs(
    values: np.ndarray, in_class: np.ndarray, pairs: Pairs
) -> tuple[np.ndarray, np.ndarray, np.ndarray, _Out]:
    """The number (B,), mean (B, G) and squares (B, G, G) of a class, and what pairs have in it."""
    weight = in_class.astype(np.float64)
    count = weight.sum(axis=0)
    centre = np.sum(weight[:, :, None] * values, axis=0) / np.maximum(count, 1)[:, None]
    residual = values - centre
    residual *= weight[:, :, None]
    squares = outer(residual)
    two = np.flatnonzero(pairs.first != pairs.second)

    def of_both(each: np.ndarray) -> np.ndarray:
        both = each[pairs.first]
        if len(two) == len(both):
            both += each[pairs.second]
        else:
            both[two] += each[pairs.second[two]]
        return both

    out = _Out(of_both(weight), of_both(residual), of_both(squares))
    return count, centre, squares.sum(axis=0), out


def _are_halves(in_class: np.ndarray, pairs: Pairs) -> bool:
    """Whether models 0 and 1, 2 and 3, ... are pairs, and one of each is in the class."""
    firsts = np.arange(0, len(in_class), 2)
    paired = np.array_equal(pairs.first, firsts) and np.array_equal(pairs.second, firsts + 1)
    return paired and bool((in_class[::2] != in_class[1::2]).all())


def _sums_of_halves(
    values: np.ndarray, in_class: np.ndarray, pairs: Pairs
) -> tuple[np.ndarray, np.ndarray, np.ndarray, _Out]:
    """The same, bit by bit, of complementary halves: half the numbers and a third of the time."""
    weight = in_class[::2, :, None].astype(np.float64)
    of_class = values[::2] * weight + values[1::2] * (1 - weight)  # in half the time of np.where
    number = np.ones(of_class.shape[:2])
    centre = of_class.sum(axis=0) / len(of_class)
    residual = of_class - centre
    squares = outer(residual)
    return number.sum(axis=0), centre, squares.sum(axis=0), _Out(number, residual, squares)


def sum_of_others(values: np.ndarray, partner: np.ndarray) -> np.ndarray:
    """Return, for each model as target, the sum over all but itself and its partner.

    Pairs are added up from both ends, and the sums before and after the target's are added.
    Subtracting its pair from the sum of all would leave noise where its values were by far the
    largest: of 1 and 1e-20 only 0 would be left.

    Args:
        values: (M, ...) float.
        partner: (M,) int, the model complementary to each, or the model itself.

    Returns:
        (M, ...) float64.
    """
    models = np.arange(len(values))
    first = np.flatnonzero(models <= partner)
    second = partner[first]
    pairs = values[first].astype(np.float64)
    pairs[second != first] += values[second[second != first]]
    before, after = np.zeros((2, len(first) + 1, *values.shape[1:]))
    np.cumsum(pairs, axis=0, out=before[1:])
    np.cumsum(pairs[::-1], axis=0, out=after[-2::-1])
    pair = np.searchsorted(first, np.minimum(models, partner))
    return before[pair] + after[pair + 1]


def mean_of_others(values: np.ndarray, in_class: np.ndarray, partner: np.ndarray) -> np.ndarray:
    """Return the mean over the other models of a class; NaN where there is none.

    Args:
        values: (M, B) float.
        in_class: (M, B) bool, or (M, M, B) where each target has shadows of its own.
        partner: (M,) int, not looked at there.

    Returns:
        (M, B) float64.
    """
    if in_class.ndim == 3:
        return np.stack([mean_of_class(values, of_target) for of_target in in_class])
    total = sum_of_others(np.where(in_class, values, 0), partner)
    number = sum_of_others(in_class.astype(np.float32), partner)
    return np.where(number > 0, total / np.maximum(number, 1), np.nan)


def mean_of_class(values: np.ndarray, in_class: np.ndarray) -> np.ndarray:
    """Return the mean (B,) float64 of a class of (S, B) values; NaN where it is empty.

    Added up model by model: the order of `np.sum` hangs on how an array lies in memory, and a
    mean of some examples must have the bits that it has among others.
    """
    total = np.cumsum(np.where(in_class, values, 0), axis=0, dtype=np.float64)[-1]
    number = in_class.sum(axis=0)
    return np.where(number > 0, total / np.maximum(number, 1), np.nan)


def outer(residual: np.ndarray) -> np.ndarray:
    """Return the products of (..., G) residuals, (..., G, G)."""
    return residual[..., :, None] * residual[..., None, :]


def total_of(each: np.ndarray, where: np.ndarray) -> np.ndarray:
    """The sum over examples (T, B, ...) of those that count."""
    if where.all():
        return each.sum(axis=1)
    return np.where(where.reshape(*where.shape, *[1] * (each.ndim - 2)), each, 0).sum(axis=1)


def ratio(squares: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Squares (T, G, G) over a count (T,); NaN where it is 0."""
    count = count[:, None, None]
    return np.where(count > 0, squares / np.maximum(count, 1), np.nan)


def _fit_anew(
    values: np.ndarray,
    in_class: np.ndarray,
    pairs: Pairs,
    where: np.ndarray,
    found: Moments,
) -> None:
    """Fit where a difference of sums would keep fewer than ten digits of the squares."""
    for pair in np.flatnonzero(where.any(axis=1)):
        examples = np.flatnonzero(where[pair])
        kept = in_class[:, examples].copy()
        kept[[pairs.first[pair], pairs.second[pair]]] = False
        anew = moments(values[:, examples], kept)
        found.mean[pair, examples] = anew.mean[0]
        found.squares[pair, examples] = anew.squares[0]
