"""The strongest of several attacks, each model judged by what was chosen on others.

Letters: A attacks, M models, U units (pairs of models), R resamples of the examples.
"""

from typing import NamedTuple

import numpy as np

from runner.statistics.averages import Averaging


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

    The resampled figures are by the attacks as often as they were chosen: the interval speaks of
    these attacks on new models and new examples. `benchmarks/results/strongest.md` has how often
    it holds that, exact ties included, and what else was tried.

    Source: cross-fitting, Chernozhukov et al. (2018), https://arxiv.org/abs/1608.00060, on both
    ways of clustering; a figure less its resample's deviation is Neufeld et al.'s (2023) thinning,
    https://arxiv.org/abs/2301.07276.

    Args:
        point: (A, M) float, higher is stronger; of the models that `over` names all finite.
        resampled: (A, M, R) float, under the same resamples of all attacks and models.
        over: which models count, and which are pairs.
    """
    models, unit = over.models, over.units()
    size = np.bincount(unit)
    some, drawn = np.asarray(point)[:, models], np.asarray(resampled, np.float64)[:, models]
    apart = drawn - drawn.mean(axis=2, keepdims=True)
    elsewhere = _of_units(some[:, :, None] - apart, unit) / size[:, None]  # (A, U, R)
    of_others = elsewhere.sum(axis=1, keepdims=True) - elsewhere if len(size) > 1 else elsewhere
    chosen = _first_best(of_others)[unit]  # (K, R)
    here = np.take_along_axis(some[:, :, None] + apart, chosen[None], axis=0)[0].mean(axis=1)
    shares = np.stack([(chosen == a).mean(axis=1) for a in range(len(some))])  # (A, K)
    found = np.full(point.shape[1], np.nan), np.full(resampled.shape[1:], np.nan)
    found[0][models] = np.clip(here, 0, 1)
    found[1][models] = np.einsum("ak,akr->kr", shares, drawn)
    return Strongest(*found, shares.mean(axis=1))


def _of_units(values: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """The sums over the models of each unit, (A, U, R) of (A, K, R)."""
    found = np.zeros((len(values), unit.max() + 1, values.shape[2]))
    np.add.at(found, (slice(None), unit), values)
    return found


def _first_best(values: np.ndarray) -> np.ndarray:
    """Which of A values is the largest, (U, R); of those that agree in 12 digits the first."""
    return np.argmax(values >= values.max(axis=0) - 1e-12, axis=0)
