"""LiRA as its authors' published code computes it, bug for bug.

Source: plot.py in https://github.com/tensorflow/privacy/tree/master/research/mi_lira_2021.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from attacks.membership._left_out import moments, moments_left_out, sum_of_others
from attacks.membership._sorted import medians

EXAMPLES_AT_ONCE = 256


class Fit(NamedTuple):
    """Normals of one class for T targets, each (T, B, V) or one number for all examples."""

    centre: np.ndarray
    deviation: np.ndarray


def score(
    target: np.ndarray,
    shadows: np.ndarray,
    member: np.ndarray,
    classes: Mapping[str, np.ndarray],
    fixed: bool,
) -> np.ndarray:
    """Return the scores (N,) of one target (N, V), given shadows (S, N, V) in float64.

    Args:
        member: (S, N) int8, -1 not judged. What no shadow judges is not there, for that code.
        classes: (S, N) bool of `out` and, for the online attack, of `in`.
        fixed: whether all examples have one standard deviation, `fix_variance` there.
    """
    fits, there = {}, (member >= 0).any(axis=0)
    for name, in_class in classes.items():
        kept = first(in_class, int(in_class.sum(axis=0)[there].min(initial=len(shadows))))
        fits[name] = fit(shadows, kept)
        if fixed:
            answers = shadows[kept]
            deviation = answers.std() if len(answers) else np.nan
            fits[name] = fits[name]._replace(deviation=np.array(deviation))
    return evidence(target[None], fits, fixed)[0]


def sums(
    answers: np.ndarray,
    member: np.ndarray,
    classes: Mapping[str, np.ndarray],
    partner: np.ndarray,
    fixed: bool,
) -> dict[str, np.ndarray]:
    """Return how many examples have how many shadows, and sums of answers, for each target.

    The answers are those of an example's first shadow of the class, of its second and so on, since
    how many of them count is known only when all examples have been seen.
    """
    num_models, found = len(answers), {}
    there = sum_of_others((member >= 0).astype(np.float32), partner) > 0
    for name, in_class in classes.items():
        place = np.where(in_class, np.cumsum(in_class, axis=0) - 1, num_models)
        lower, higher = np.sort([place, place[partner]], axis=0)
        higher[partner == np.arange(num_models)] = num_models
        number = in_class.sum(axis=0) - (lower < num_models) - (higher < num_models)
        rows = [
            np.bincount(of_target[where], minlength=num_models + 1)
            for of_target, where in zip(number, there, strict=True)
        ]
        found[f"{name}_counts"] = np.array(rows, np.float64)
        if fixed and (name == "in" or "in" not in classes):
            order = np.argsort(~in_class, axis=0, kind="stable")
            values = np.where(in_class[:, :, None], answers, 0).astype(np.float64)
            values = np.take_along_axis(values, order[:, :, None], axis=0)
            for key, each in (("values", values), ("squares", np.square(values))):
                found[f"{name}_{key}"] = _by_place(each.sum(axis=2), lower, higher)
    return found


def _by_place(values: np.ndarray, lower: np.ndarray, higher: np.ndarray) -> np.ndarray:
    """Sums (M, M) over examples of values (M, B) by place, without two places for each target."""
    places = np.arange(len(values))[:, None]
    found = np.zeros((len(lower), len(values)))
    for m, (first, second) in enumerate(zip(lower, higher, strict=True)):
        passed = (places > first).astype(np.int8) + (places > second)
        passed[(places == first) | (places == second)] = 3
        for shift in range(3):
            of_shift = np.sum(values, axis=1, where=passed == shift)
            found[m, : len(values) - shift] += of_shift[shift:]
    return found


def score_all(
    answers: np.ndarray,
    classes: Mapping[str, np.ndarray],
    partner: np.ndarray,
    totals: Mapping[str, np.ndarray],
    fixed: bool,
) -> np.ndarray:
    """Return the scores (M, B) of every model as target, given answers (M, B, V).

    Where every example has as many shadows as the one that has fewest, nothing is truncated and all
    targets are fitted at once; so it is with complementary pairs. Other targets are fitted alone.
    """
    scores = np.zeros(answers.shape[:2])
    for start in range(0, answers.shape[1], EXAMPLES_AT_ONCE):
        part = slice(start, start + EXAMPLES_AT_ONCE)
        values, fits = answers[:, part].astype(np.float64), {}
        for name, in_class in classes.items():
            size = np.argmax(totals[f"{name}_counts"] > 0, axis=1)
            fits[name] = fit_all(values, in_class[:, part], partner, size)
            if fixed and f"{name}_values" in totals:
                deviation = _deviation(totals, name, size, answers.shape[2])
                fits[name] = fits[name]._replace(deviation=deviation)
        scores[:, part] = evidence(values, fits, fixed)
    return scores


def evidence(values: np.ndarray, fits: Mapping[str, Fit], fixed: bool) -> np.ndarray:
    """The mean over views of the log ratio, or offline of minus the log-density: two-sided."""
    deviation = {name: one.deviation for name, one in fits.items()}
    if fixed and "in" in fits:
        deviation["out"] = deviation["in"]  # the bug: std_out = np.std(dat_in)
    logs = {}
    for name, one in fits.items():
        std = deviation[name] + 1e-30
        logs[name] = -np.square((values - one.centre) / std) / 2 - np.log(std * np.sqrt(2 * np.pi))
    return (logs.get("in", 0) - logs["out"]).mean(axis=2)


def fit(values: np.ndarray, kept: np.ndarray) -> Fit:
    """Medians, and deviations around means divided by n, of values (S, B, V) that are kept."""
    views = range(values.shape[2])
    found = [moments(values[:, :, [v]], kept) for v in views]
    squares = np.concatenate([each.squares[:, :, 0] for each in found], axis=2)
    deviation = np.sqrt(squares / np.maximum(kept.sum(axis=0), 1)[:, None])
    return Fit(medians(values, kept, None), deviation)


def fit_all(values: np.ndarray, in_class: np.ndarray, partner: np.ndarray, size: np.ndarray) -> Fit:
    """The fits of all targets, of which each has the first `size` (M,) int of its shadows."""
    views = range(values.shape[2])
    found = [moments_left_out(values[:, :, [v]], in_class, partner) for v in views]
    squares = np.concatenate([each.squares[:, :, 0] for each in found], axis=2)
    deviation = np.sqrt(squares / np.maximum(found[0].number, 1)[:, :, None])
    centre = medians(values, in_class, partner)
    truncated = (found[0].number != size[:, None]) & (found[0].number > 0)
    for m in map(int, np.flatnonzero(truncated.any(axis=1))):
        one = fit(values, first(left(in_class, m, partner), int(size[m])))
        centre[m], deviation[m] = one.centre[0], one.deviation
    return Fit(centre, deviation)


def first(in_class: np.ndarray, size: int) -> np.ndarray:
    """The first `size` of a class (S, B) bool of each example, in the order of the models."""
    return in_class & (np.cumsum(in_class, axis=0) <= size)


def left(in_class: np.ndarray, target: int, partner: np.ndarray) -> np.ndarray:
    """The class without a target and its partner."""
    kept = in_class.copy()
    kept[[target, partner[target]]] = False
    return kept


def _deviation(
    totals: Mapping[str, np.ndarray], name: str, size: np.ndarray, num_views: int
) -> np.ndarray:
    """The standard deviation (M, 1, 1) of all answers that are not truncated, of all views."""
    counted = np.arange(len(size)) < size[:, None]
    number = totals[f"{name}_counts"].sum(axis=1) * size * num_views
    divisor = np.where(number > 0, number, np.nan)
    mean = np.sum(totals[f"{name}_values"], axis=1, where=counted) / divisor
    square = np.sum(totals[f"{name}_squares"], axis=1, where=counted) / divisor
    return np.sqrt(np.maximum(square - np.square(mean), 0))[:, None, None]
