"""Order statistics of a class of models without one target and its partner, for all targets."""

from typing import NamedTuple

import numpy as np


class Sorted(NamedTuple):
    """Each example's values of a class in rising order, and what each target leaves out of them.

    Rows are examples and columns are places, M of each; `first` < `second` but where both are M,
    which means that there is nothing to leave out.
    """

    values: np.ndarray  # (B, M) float64, those of the class first
    first: np.ndarray  # (B, M) int, the place of target m or of its partner, whichever is lower
    second: np.ndarray
    left: np.ndarray  # (B, M) int, how many stay

    def place(self, k: np.ndarray) -> np.ndarray:
        """Where in `values` the k-th of those that stay lies, from 0."""
        place = k + (k >= self.first)
        return place + (place >= self.second)

    def at(self, k: np.ndarray) -> np.ndarray:
        """The k-th of those that stay; something where none does."""
        within = np.clip(self.place(k), 0, self.values.shape[1] - 1)
        return np.take_along_axis(self.values, within, axis=1)


def median(values: np.ndarray, in_class: np.ndarray) -> np.ndarray:
    """Return the median (B,) float64 of a class of (S, B) values; NaN where it is empty."""
    rising = np.sort(np.where(in_class, values, np.inf).astype(np.float64), axis=0)
    count = in_class.sum(axis=0)
    low, high = (
        np.take_along_axis(rising, np.maximum(place, 0)[None], axis=0)[0]
        for place in ((count - 1) // 2, np.minimum(count // 2, len(values) - 1))
    )
    return np.where(count > 0, (low + high) / 2, np.nan)


def median_left_out(values: np.ndarray, in_class: np.ndarray, partner: np.ndarray) -> np.ndarray:
    """Return for each target m the exact median of a class without models m and partner[m].

    A class is sorted once per example; then a target finds its median by counting past the places
    of the two that it leaves out.

    Args:
        values: (M, B) float.
        in_class: (M, B) bool, whose values are in the class.
        partner: (M,) int; a model that is its own partner is left out alone.

    Returns:
        (M, B) float64; NaN where none is left.
    """
    kept = _sort(values, in_class, partner)
    median = (kept.at((kept.left - 1) // 2) + kept.at(kept.left // 2)) / 2
    return np.where(kept.left > 0, median, np.nan).T


def medians(values: np.ndarray, in_class: np.ndarray, partner: np.ndarray | None) -> np.ndarray:
    """Return medians (T, B, V) by view of (M, B, V); without partners, of all models, T = 1.

    Where in_class is (T, M, B), each target has shadows of its own.
    """
    if in_class.ndim == 3:
        return np.concatenate([medians(values, of_target, None) for of_target in in_class])
    of_views = [
        median(values[:, :, view], in_class)[None]
        if partner is None
        else median_left_out(values[:, :, view], in_class, partner)
        for view in range(values.shape[2])
    ]
    return np.stack(of_views, axis=2)


def trimmed_mean_left_out(
    values: np.ndarray, in_class: np.ndarray, partner: np.ndarray, trim: float
) -> np.ndarray:
    """Return for each target m the trimmed mean of a class without models m and partner[m].

    Of n that are left, int(trim * n) are dropped at each end, as by scipy.stats.trim_mean.
    Running sums of the sorted values start at the middle, from which all values are measured, so
    that an outlier enters no sum of a target that trims it or leaves it out.

    Args:
        values: (M, B) float.
        in_class: (M, B) bool, whose values are in the class, or (M, M, B) where each target has
            shadows of its own.
        partner: (M,) int; a model that is its own partner is left out alone.
        trim: share of either end, in [0, 0.5).

    Returns:
        (M, B) float64; NaN where none is left.

    Raises:
        ValueError: `trim` would drop everything.
    """
    if not 0 <= trim < 0.5:
        raise ValueError(f"expected a share of each end in [0, 0.5) to trim, got {trim}")
    if in_class.ndim == 3:
        return np.stack([trimmed_mean(values, of_target, trim) for of_target in in_class])
    kept = _sort(values, in_class, partner)
    num_examples, num_models = kept.values.shape
    count = in_class.sum(axis=0)[:, None]
    places = np.arange(num_models)
    middle = np.where(count > 0, np.take_along_axis(kept.values, count // 2, axis=1), 0)
    above = np.where(places < count, kept.values, middle) - middle
    upper, lower = (
        np.where(side, above, 0) for side in (places >= count // 2, places < count // 2)
    )
    none = np.zeros((num_examples, 1))
    up_to = np.hstack([none, np.cumsum(upper, axis=1)])
    up_to -= np.hstack([np.cumsum(lower[:, ::-1], axis=1)[:, ::-1], none])

    dropped = (trim * kept.left).astype(int)
    start = np.clip(kept.place(dropped), 0, num_models - 1)
    end = np.clip(kept.place(kept.left - 1 - dropped), 0, num_models - 1)
    total = np.take_along_axis(up_to, end + 1, axis=1) - np.take_along_axis(up_to, start, axis=1)
    for place in (kept.first, kept.second):
        own = np.take_along_axis(above, np.minimum(place, num_models - 1), axis=1)
        total -= np.where((start < place) & (place < end), own, 0)
    mean = middle + total / np.maximum(kept.left - 2 * dropped, 1)
    return np.where(kept.left > 0, mean, np.nan).T


def trimmed_mean(values: np.ndarray, in_class: np.ndarray, trim: float) -> np.ndarray:
    """Return the mean (B,) of a class of (S, B) values without int(trim * n) of n at each end."""
    number = in_class.sum(axis=0)
    cut = (trim * number).astype(int)
    order = np.arange(len(values))[:, None]
    kept = (order >= cut) & (order < number - cut)
    rising = np.sort(np.where(in_class, values, np.inf), axis=0)
    total = np.cumsum(np.where(kept, rising, 0), axis=0)[-1]  # in one order, wherever it lies
    return np.where(number > 0, total / np.maximum(number - 2 * cut, 1), np.nan)


def _sort(values: np.ndarray, in_class: np.ndarray, partner: np.ndarray) -> Sorted:
    """Sort a class of (M, B) values by example, and place each target and its partner in it."""
    num_models = len(values)
    rows = np.ascontiguousarray(np.where(in_class, values, np.inf).T, np.float64)
    order = np.argsort(rows, axis=1)
    place = np.empty_like(order)
    np.put_along_axis(place, order, np.arange(num_models)[None], axis=1)
    place[~in_class.T] = num_models
    partners = place[:, partner]
    partners[:, partner == np.arange(num_models)] = num_models
    first, second = np.minimum(place, partners), np.maximum(place, partners)
    left = (place < num_models).sum(axis=1, keepdims=True)
    left = left - (first < num_models) - (second < num_models)
    return Sorted(np.take_along_axis(rows, order, axis=1), first, second, left)
