"""Sums over all models but the target and its partner, for every model as target at once."""

import numpy as np


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
        in_class: (M, B) bool.
        partner: (M,) int.

    Returns:
        (M, B) float64.
    """
    total = sum_of_others(np.where(in_class, values, 0), partner)
    number = sum_of_others(in_class.astype(np.float32), partner)
    return np.where(number > 0, total / np.maximum(number, 1), np.nan)
