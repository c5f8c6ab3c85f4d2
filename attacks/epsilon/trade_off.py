"""Whether one training with many canaries refutes a trade-off function of its privacy."""

import math
from collections.abc import Callable

import numpy as np

LeastFPR = Callable[[float], float]  # a test's true-positive rate -> no test has less of this FPR

Point = tuple[float, float]

HALVINGS = 60
SMALLEST = 1e-300  # the p-values below it are not told apart


def refuted(
    num_canaries: int, num_guesses: int, num_correct: int, least_fpr: LeastFPR, error: float
) -> bool:
    """Return whether so many correct guesses have less than a chance of `error` at a trade-off.

    Source: Mahloujifar, Melis and Chaudhuri (2025), https://arxiv.org/abs/2410.22235, for two
    symbols and abstentions. A training keeps the trade-off if no test for one example has a false-
    positive rate below `least_fpr` of its true-positive rate, whatever all others are. Turn one
    canary's coin: its correct guess becomes a wrong one and all others stay. So to be guessed
    rightly, with more than i right in all, takes a chance to be guessed wrongly, with i or more
    right, of at least `least_fpr`; and as that is convex, the same holds of the averages over m
    canaries. Let s_i be the chance that i or more of r guesses are right and t_i the sum of s_i,
    s_(i+1), ...; the averages are (i s_(i+1) + t_(i+1)) / m and ((r - i) s_i - t_(i+1)) / m. From
    s_v = t_v = error on, each s_i is at least what the later ones ask for, and grows with them;
    where s_0 would exceed 1, the chance of v or more was below `error`.

    That is the paper's recursion, put in quantities that only grow, so that it needs no argument
    about which distribution of the number of correct guesses is the worst.

    Args:
        num_canaries: m, each in the data by a fair coin of its own.
        num_guesses: r, from 0 to m, settled before anybody looks at the coins.
        num_correct: v, from 0 to r.
        least_fpr: convex and not decreasing on [0, 1]: for a trade-off function f the FPR at which
            f is 1 - TPR. Where adding an example and taking one away differ, the lesser of both,
            made convex.
        error: in (0, 1).

    Raises:
        ValueError: the counts are impossible.
    """
    check_counts(num_canaries, num_guesses, num_correct)
    at_least, total = error, error
    for right in range(num_correct - 1, -1, -1):
        found = (right * at_least + total) / num_canaries
        wrong = least_fpr(found) if found < 1 else 1.0
        needed = (num_canaries * wrong + total) / (num_guesses - right)
        if needed <= at_least:  # then no fewer correct guesses ask for more either
            return False
        at_least, total = needed, total + needed
        if at_least > 1:
            return True
    return False


def trade_off_p_value(
    num_canaries: int, num_guesses: int, num_correct: int, least_fpr: LeastFPR
) -> float:
    """Return the smallest error at which so many correct guesses refute a trade-off, at most 1.

    Arguments and errors as of `refuted`. Below 1e-300 it is 1e-300.
    """
    low, high = math.log(SMALLEST), 0.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        gone = refuted(num_canaries, num_guesses, num_correct, least_fpr, math.exp(middle))
        low, high = (low, middle) if gone else (middle, high)
    return math.exp(high)


def least_fpr_of(fpr: np.ndarray, tpr: np.ndarray) -> LeastFPR:
    """Return the least FPR of each TPR below a ROC curve that no test of membership exceeds.

    A guess is right of a canary that is in, and of one that is out; so the curve counts as it is,
    and turned round, where "out" is what is tested for. What is returned is below both.

    Args:
        fpr: (n,) of the corners of a concave curve, from 0 to 1, rising.
        tpr: (n,) at these, the last one 1; what an accountant proves of one training, for instance.
    """
    most = np.clip(np.concatenate((tpr, 1 - fpr)), 0, 1).tolist()
    least = np.clip(np.concatenate((fpr, 1 - tpr)), 0, 1).tolist()
    hull = [(0.0, 0.0)]
    for x, y in sorted(zip(most, least, strict=True)):
        if x == hull[-1][0]:
            continue  # it lies above
        while len(hull) > 1 and _is_above(hull[-1], hull[-2], (x, y)):
            hull.pop()
        hull.append((x, y))
    rates, found = np.array(hull).T
    return lambda tpr: float(np.interp(tpr, rates, found))


def _is_above(point: Point, left: Point, right: Point) -> bool:
    """Whether a point lies on or above the line of two others."""
    (x, y), (x0, y0), (x1, y1) = point, left, right
    return (y - y0) * (x1 - x0) >= (y1 - y0) * (x - x0)


def check_counts(num_canaries: int, num_guesses: int, num_correct: int) -> None:
    """Refuse counts that no audit can have."""
    if not 0 <= num_correct <= num_guesses <= num_canaries:
        raise ValueError(
            "expected 0 <= correct guesses <= guesses <= canaries, got "
            f"{num_correct} correct of {num_guesses} guesses of {num_canaries} canaries"
        )
