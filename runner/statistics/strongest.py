"""The strongest of several attacks, each model judged by what was chosen on others.

Letters: A attacks, M models, U units (pairs of models), R resamples of the examples.
"""

from typing import NamedTuple

import numpy as np

from runner.statistics.averages import Averaging

HALVES = 64  # into which each resample is halved again


class Strongest(NamedTuple):
    """A figure of each model by the attack that was chosen for it, and how often which one was."""

    point: np.ndarray  # (M,) float64, NaN of models that are not averaged over
    resampled: np.ndarray  # (M, R) float64, likewise
    shares: np.ndarray  # (A,) float64, of the choices, mean over the models; 1 together


def strongest(point: np.ndarray, resampled: np.ndarray, over: Averaging) -> Strongest:
    """Return what the strongest attack finds, chosen on other models and other examples.

    A resample is a half of the examples. For each of them and each pair of models the attack is
    chosen that finds most in the other pairs on the other half, and the pair is judged by it on
    this half; its figure is the mean over the resamples. So neither a pair nor an example that
    makes an attack look strong has judged it before, and the mean is of what was chosen: never
    above the strongest attack's own in expectation, and below it by as much as the choice errs.
    What a half has more than the mean of all resamples, the other half has less.
    Where one attack is always chosen, the figures are its own to the last digits. From a single
    pair the choice is by other examples of the same pair.

    In each resample attacks are chosen anew. The interval speaks of the attacks, as often as they
    were chosen, in new models on new examples: `benchmarks/results/strongest.md` has how often it
    holds that, exact ties included, and what else was tried.

    Source: cross-fitting, Chernozhukov et al. (2018), https://arxiv.org/abs/1608.00060, on both
    ways of clustering; a figure less its resample's deviation is Neufeld et al.'s (2023) thinning,
    https://arxiv.org/abs/2301.07276.

    Args:
        point: (A, M) float, higher is stronger; of the models that `over` names all finite.
        resampled: (A, M, R) float, under the same resamples of all attacks and models.
        over: which models count, and which are pairs.
    """
    models, unit = over.models, over.units()
    some, drawn = np.asarray(point)[:, models], np.asarray(resampled, np.float64)[:, models]
    apart = drawn - drawn.mean(axis=2, keepdims=True)  # of this half; the other half has it less
    of_others, others_apart = _of_others(some[:, :, None], unit), _of_others(apart, unit)
    chosen = _first_best(of_others - others_apart)[unit]  # (K, R)
    here = _taken(some[:, :, None] + apart, chosen)
    shares = np.array([(chosen == a).mean() for a in range(len(some))])
    found = np.full(point.shape[1], np.nan), np.full(resampled.shape[1:], np.nan)
    found[0][models] = np.clip(here, 0, 1)
    found[1][models] = here[:, None] + _moved(apart, of_others, others_apart, unit)
    return Strongest(*found, shares)


def _moved(
    apart: np.ndarray, of_others: np.ndarray, others_apart: np.ndarray, unit: np.ndarray
) -> np.ndarray:
    """How much more each model's figure is in each resample, (K, R), where it chooses anew.

    The resample stands for all examples there, and is halved by the first few of all halves.
    """
    halves, found = slice(HALVES), np.empty_like(apart[0])
    for r in range(found.shape[1]):
        elsewhere = of_others + others_apart[:, :, [r]] - others_apart[:, :, halves]
        chosen = _first_best(elsewhere)[unit]
        found[:, r] = _taken(apart[:, :, [r]] + apart[:, :, halves], chosen)
    return found


def _taken(values: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """The mean over the last axis of (A, K, R) values, by the attack chosen (K, R) for each."""
    return np.take_along_axis(values, chosen[None], axis=0)[0].mean(axis=1)


def _of_others(values: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """The sum of the other units' means, (A, U, R) of (A, K, R); its own where it is alone."""
    each = [values[:, unit == u].mean(axis=1) for u in range(int(unit.max()) + 1)]
    means = np.stack(each, axis=1)
    return means.sum(axis=1, keepdims=True) - means if len(each) > 1 else means


def _first_best(values: np.ndarray) -> np.ndarray:
    """Which of A values is the largest, (U, R); of those that agree in 12 digits the first."""
    return np.argmax(values >= values.max(axis=0) - 1e-12, axis=0)
