"""Mechanisms whose canaries are guessed of as well as their trade-off allows."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import linprog

Line = tuple[float, float]  # epsilon and delta: a side of the trade-off function


class Sides(NamedTuple):
    """How a guess of one canary comes out, with its coin as it is and turned, by the others."""

    right: np.ndarray  # (r,) the chance that it is right and so many others too
    wrong: np.ndarray  # (r,) that it is wrong


def sides(counts: np.ndarray, num_canaries: int) -> Sides:
    """Return them for a mechanism that draws how many guesses are right, and then which.

    It picks r of m canaries and guesses so many of them rightly, each set as probable as any other:
    turned, a coin makes a right guess wrong and the other way round.

    Args:
        counts: (r + 1,) float, the probability of each number of right guesses.
    """
    number = np.arange(len(counts))
    right, wrong = number * counts, number[::-1] * counts
    return Sides(right[1:] / num_canaries, wrong[:-1] / num_canaries)


def worst(
    num_canaries: int, num_guesses: int, num_correct: int, lines: Sequence[Line]
) -> np.ndarray:
    """Return the counts of such a mechanism that keeps all lines and is right the most often.

    The most probable `num_correct` or more, by linear programming: a line (epsilon, delta) is kept
    if the sum of max(0, P - e^epsilon P') over all outcomes is at most delta, for one coin turned.
    """
    r, m = num_guesses, num_canaries
    number = np.arange(r + 1)
    right, wrong = np.zeros((r, r + 1)), np.zeros((r, r + 1))
    right[np.arange(r), number[1:]] = number[1:] / m
    wrong[np.arange(r), number[:-1]] = (r - number[:-1]) / m
    rows, limits = [], []
    num_slacks = 2 * r * len(lines)
    for place, (epsilon, delta) in enumerate(lines):
        first = r + 1 + 2 * r * place
        for offset, (one, other) in ((0, (right, wrong)), (r, (wrong, right))):
            excess = np.zeros((r, r + 1 + num_slacks))
            excess[:, : r + 1] = one - math.exp(epsilon) * other
            excess[np.arange(r), first + offset + np.arange(r)] = -1
            rows.append(excess)
            limits.append(np.zeros(r))
        total = np.zeros((1, r + 1 + num_slacks))
        total[0, first : first + 2 * r] = 1
        rows.append(total)
        limits.append(np.array([delta]))
    everything = np.concatenate([np.ones(r + 1), np.zeros(num_slacks)])[None]
    wanted = np.concatenate([-(number >= num_correct).astype(float), np.zeros(num_slacks)])
    found = linprog(wanted, np.concatenate(rows), np.concatenate(limits), everything, [1.0])
    assert found.success, found.message
    return np.maximum(found.x[: r + 1], 0)


def trade_off(of: Sides, num_canaries: int, num_guesses: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the corners (FPR, TPR) of the best tests of one coin, by likelihood ratio."""
    silent = 1 - num_guesses / num_canaries
    told = np.concatenate([of.right, of.wrong, [silent]])
    turned = np.concatenate([of.wrong, of.right, [silent]])
    order = np.argsort(-np.arctan2(told, turned), kind="stable")
    return np.cumsum([0.0, *turned[order]]), np.cumsum([0.0, *told[order]])


def most_probable(
    num_canaries: int,
    num_guesses: int,
    num_correct: int,
    tangents: Sequence[tuple[float, float]],
) -> float:
    """Return the largest chance of so many right guesses, by the linear program of the theorem.

    Over all distributions of the number of right guesses that keep every inequality of it at once;
    what the recursion finds without a solver.

    Args:
        tangents: slope and height of the lines whose maximum is the least FPR of a TPR.
    """
    r, m = num_guesses, num_canaries
    number = np.arange(r + 1)
    rows, limits = [], []
    for least in range(r):
        wrong = np.where(number >= least, r - number, 0) / m
        right = np.where(number > least, number, 0) / m
        for slope, height in tangents:
            rows.append(slope * right - wrong)
            limits.append(-height)
    wanted = -(number >= num_correct).astype(float)
    found = linprog(wanted, np.array(rows), limits, np.ones((1, r + 1)), [1.0])
    assert found.success, found.message
    return -found.fun


def gaussian_lines(mu: float, num: int, delta: Callable[[float, float], float]) -> list[Line]:
    """Return lines of the trade-off function of mu-GDP, from epsilon 0 on.

    Args:
        delta: (mu, epsilon) -> delta.
    """
    return [(e, delta(mu, e)) for e in np.linspace(0, mu * (mu / 2 + 3.5), num).tolist()]
