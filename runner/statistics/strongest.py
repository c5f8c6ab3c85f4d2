"""The strongest of several attacks, each model judged by what was chosen on others.

Letters: A attacks, M models, U units (pairs of models), R resamples of the examples.
"""

from typing import NamedTuple

import numpy as np

from runner.statistics.averages import Averaging

HALVES = 64  # into which each resample is halved again
SAY = 0.5  # of a pair's say in its figure, by simulation: benchmarks/results/strongest.md


class Strongest(NamedTuple):
    """A figure of each model by the attack that was chosen for it, and how often which one was."""

    point: np.ndarray  # (M,) float64, with half of its pair's say; NaN of models not averaged over
    resampled: np.ndarray  # (M, R) float64, likewise
    shares: np.ndarray  # (A,) float64, of the choices, mean over the models; 1 together


def strongest(point: np.ndarray, resampled: np.ndarray, over: Averaging) -> Strongest:
    """Return what the strongest attack finds, chosen on other models and other examples.

    A resample is a half of the examples, and with it goes a half of the pairs of models. For each
    of them the attack is chosen that finds most in the other half of the pairs on the other half
    of the examples, and a pair is judged by it on this half; its figure is the mean over the
    resamples. So neither a pair nor an example that makes an attack look strong has judged it
    before, and the mean is of what was chosen: never above the strongest attack's own in
    expectation, and below it by as much as the choice errs.
    What a half has more than the mean of all resamples, the other half has less.
    Where one attack is always chosen, the figures are its own to the last digits. From a single
    pair the choice is by other examples of the same pair.

    Of new pairs the mean would differ by what they find themselves, and by what they choose for
    others. So a model's figure is what it finds and half of its pair's say in the mean, which add
    up to none. In each resample attacks are chosen anew. The interval speaks of the attacks, as
    often as they were chosen, in new models on new examples: `benchmarks/results/strongest.md` has
    how often it holds that, exact ties included, and what else was tried.

    Source: cross-fitting, Chernozhukov et al. (2018), https://arxiv.org/abs/1608.00060, on both
    ways of clustering, over many halves; a figure less its resample's deviation is Neufeld et
    al.'s (2023) thinning, https://arxiv.org/abs/2301.07276; a pair's say is what the jackknife adds
    for it, whose variance is at least the true one, Efron and Stein (1981),
    https://doi.org/10.1214/aos/1176345462: all of it would be too much.

    Args:
        point: (A, M) float, higher is stronger; of the models that `over` names all finite.
        resampled: (A, M, R) float, under the same resamples of all attacks and models.
        over: which models count, and which are pairs.
    """
    models, unit = over.models, over.units()
    some, drawn = np.asarray(point)[:, models], np.asarray(resampled, np.float64)[:, models]
    apart = drawn - drawn.mean(axis=2, keepdims=True)  # of this half; the other half has it less
    elsewhere, judges = (_of_units(some[:, :, None] + one, unit) for one in (-apart, apart))
    half = _halves(*judges.shape[1:])
    chosen = _chosen(elsewhere, half)[unit]
    here = _taken(some[:, :, None] + apart, chosen)
    shares = np.array([(chosen == a).mean() for a in range(len(some))])
    found = np.full(point.shape[1], np.nan), np.full(resampled.shape[1:], np.nan)
    found[0][models] = np.clip(here, 0, 1) + SAY * _say(elsewhere, judges, half)[unit]
    found[1][models] = here[:, None] + _moved(some, apart, half, unit)
    return Strongest(*found, shares)


def _say(elsewhere: np.ndarray, judges: np.ndarray, half: np.ndarray) -> np.ndarray:
    """How much higher the mean is for what each unit has chosen for others, (U,), mean 0.

    That is U - 1 times what leaving it out would change; the only one of a half that chooses cannot
    be left out.

    Args:
        elsewhere: (A, U, R), the figures that choose.
        judges: (A, U, R), those that judge.
        half: (U, R).
    """
    num, added = len(half), np.zeros(half.shape)
    for side in (half, ~half):
        by_all = (elsewhere * side).sum(axis=1, keepdims=True)
        found = (judges * ~side).sum(axis=1, keepdims=True)
        with_it, less = (
            np.take_along_axis(found, _first_best(by)[None], axis=0)[0]
            for by in (by_all, by_all - elsewhere)
        )
        added += np.where(side & (side.sum(axis=0) > 1), with_it - less, 0)
    say = added.mean(axis=1) * (num - 1) / num
    return say - say.mean()


def _moved(some: np.ndarray, apart: np.ndarray, half: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """How much more each model's figure is in each resample, (K, R), where it chooses anew.

    The resample stands for all examples there, and is halved by the first few of all halves.
    """
    few, found = slice(HALVES), np.empty_like(apart[0])
    of_all, of_units = (_of_units(one, unit) for one in (some[:, :, None], apart))
    for r in range(found.shape[1]):
        elsewhere = of_all + of_units[:, :, [r]] - of_units[:, :, few]
        chosen = _chosen(elsewhere, half[:, few])[unit]
        found[:, r] = _taken(apart[:, :, [r]] + apart[:, :, few], chosen)
    return found


def _halves(num_units: int, num_resamples: int) -> np.ndarray:
    """Return a random half of the units with each resample, (U, R) bool: of all arms the same."""
    drawn = np.random.default_rng(0).random((num_units, num_resamples))
    return drawn.argsort(axis=0).argsort(axis=0) < num_units // 2


def _chosen(elsewhere: np.ndarray, half: np.ndarray) -> np.ndarray:
    """The attack that finds most in the other half, or in the only unit, (U, R) of (A, U, R)."""
    if len(half) == 1:
        return _first_best(elsewhere)
    by_half, by_rest = (
        _first_best((elsewhere * side).sum(axis=1, keepdims=True)) for side in (half, ~half)
    )
    return np.where(half, by_rest, by_half)


def _taken(values: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """The mean over the last axis of (A, K, R) values, by the attack chosen (K, R) for each."""
    return np.take_along_axis(values, chosen[None], axis=0)[0].mean(axis=1)


def _of_units(values: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """The mean over the models of each unit, (A, U, R) of (A, K, R)."""
    each = [values[:, unit == u].mean(axis=1) for u in range(int(unit.max()) + 1)]
    return np.stack(each, axis=1)


def _first_best(values: np.ndarray) -> np.ndarray:
    """Which of A values is the largest, (U, R); of those that agree in 12 digits the first."""
    return np.argmax(values >= values.max(axis=0) - 1e-12, axis=0)
