"""Memorization: how much surer models are of an example's label for being trained on it."""

from typing import NamedTuple

import numpy as np


class MemorizationScores(NamedTuple):
    """Scores of N examples; NaN where a class has no model, so that nothing can be compared."""

    score: np.ndarray  # (N,) float64 in [-1, 1]
    standard_error: np.ndarray  # (N,) float64, of the score over models trained anew


def memorization(correct: np.ndarray, member: np.ndarray) -> MemorizationScores:
    """Return each example's mean correctness in models trained with it, less that in the others.

    Source: Feldman and Zhang (2020), https://arxiv.org/abs/2008.03703, equation 1 and algorithm 1,
    who train on 70 % of the data; complementary halves estimate the same for half the data.

    The error of 0/1 answers is that of two binomial rates, each drawn towards 1/2 as if one more
    model had been right and one more wrong (Agresti and Caffo 2000,
    https://doi.org/10.1080/00031305.2000.10474560). Without it 16 models that are all right would
    claim an error of 0. Their interval is about a difference that is drawn in likewise; this score
    is not, so the rates' variances are divided by n and not by n + 2. Then +-1.96 errors hold the
    true score in 91 to 100 % of cases, from 4 models a class up, where the plain formula goes down
    to 4 %. Probabilities have the error of their sample variance, which takes two models a class.

    Args:
        correct: (M, N) bool, whether each model is right; or float in [0, 1], the probability that
            it gives the label.
        member: (M, N) int8: 1 in, 0 out, -1 not judged.

    Raises:
        ValueError: the shapes differ, or `correct` is neither.
    """
    correct, member = np.asarray(correct), np.asarray(member)
    if correct.ndim != 2 or correct.shape != member.shape:
        raise ValueError(
            f"expected correctness and membership (M, N), got {correct.shape} and {member.shape}"
        )
    if correct.dtype != bool and not (
        correct.dtype.kind == "f" and np.all((correct >= 0) & (correct <= 1))
    ):
        raise ValueError(
            f"expected bool, or float in [0, 1], got {correct.dtype}; compare predictions with "
            "labels, or give the label's probability"
        )
    with np.errstate(divide="ignore", invalid="ignore"):  # a class without models is NaN
        inside, outside = (_mean_and_variance(correct, member == c) for c in (1, 0))
    return MemorizationScores(inside[0] - outside[0], np.sqrt(inside[1] + outside[1]))


def _mean_and_variance(correct: np.ndarray, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean over the chosen models, and the variance of that mean, each (N,) float64."""
    number = chosen.sum(0)
    mean = np.where(chosen, correct, 0).sum(0, dtype=np.float64) / number
    if correct.dtype == bool:
        drawn_in = (number * mean + 1) / (number + 2)
        return mean, drawn_in * (1 - drawn_in) / number
    squares = (np.where(chosen, correct - mean, 0) ** 2).sum(0)
    return mean, squares / (number - 1) / number
