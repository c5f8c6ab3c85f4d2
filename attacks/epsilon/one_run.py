"""Epsilon from one training with many canaries, each in the data or not by a coin of its own."""

import math

import numpy as np
from scipy.special import betainc, logit

from attacks.epsilon.rates import check_options
from attacks.epsilon.trade_off import check_counts

CELLS = 64  # that the search for the first epsilon that is not refuted begins with
HALVINGS = 50  # of such a cell


def guess(scores: np.ndarray, num_in_guesses: int, num_out_guesses: int) -> np.ndarray:
    """Return what to say of each canary, (m,) int8: 1 in, -1 out, 0 nothing.

    The highest scores are called in and the lowest out. The numbers of guesses must be fixed before
    anybody looks at who is in.

    Args:
        scores: (m,) float, higher means more likely in.

    Raises:
        ValueError: there are fewer canaries than guesses.
    """
    if min(num_in_guesses, num_out_guesses) < 0 or num_in_guesses + num_out_guesses > len(scores):
        raise ValueError(
            f"expected at most as many guesses as canaries, got {num_in_guesses} guesses of in and "
            f"{num_out_guesses} of out for {len(scores)} canaries; make fewer"
        )
    order = np.argsort(scores, kind="stable")
    said = np.zeros(len(scores), np.int8)
    said[order[:num_out_guesses]] = -1
    said[order[len(scores) - num_in_guesses :]] = 1
    return said


def one_run_bound(
    num_canaries: int,
    num_guesses: int,
    num_correct: int,
    delta: float,
    confidence: float = 0.95,
    num_tried: int = 1,
) -> float:
    """Return an epsilon that the training exceeds, if it is (epsilon, delta)-private at all.

    Source: Steinke, Nasr and Jagielski (2023), https://arxiv.org/abs/2305.08846, Theorem 5.2: so
    many correct guesses are about as improbable as of randomized response, whose guesses are
    correct with probability e^epsilon / (1 + e^epsilon). Neighbours differ by one example added or
    removed. The bound is the smallest epsilon that is not refuted.

    Each canary must be in the data by a fair coin of its own, and nothing may be chosen by those
    coins: neither canaries, nor scores, nor the number of guesses.

    Args:
        num_canaries: m, those not guessed of included: each may be told with probability delta.
        num_guesses: r, from 0 to m.
        num_correct: v, from 0 to r.
        delta: in [0, 1).
        confidence: the probability, in (0, 1), that the bound holds.
        num_tried: how many numbers of guesses were tried; they share the error allowed
            (Bonferroni).

    Returns:
        epsilon in nats, 0 or more.

    Raises:
        ValueError: an argument is outside its range.
    """
    check_options(delta, confidence, num_tried)
    check_counts(num_canaries, num_guesses, num_correct)
    error = (1 - confidence) / num_tried
    if num_correct == 0:
        return 0.0

    def refuted(epsilon: float) -> bool:
        return _p_value(num_canaries, num_guesses, num_correct, epsilon, delta) <= error

    if not refuted(0):
        return 0.0
    # At this epsilon all r guesses are correct with a probability of `error`.
    end = float(logit(math.exp(math.log(error) / num_guesses)))
    # The p-value grows with epsilon where 2 m delta <= 1. Where it may not, the first crossing is
    # the bound, and halving all of [0, end] might find a later one.
    cells = np.linspace(0, end, CELLS + 1)
    first = next((n for n in range(1, CELLS) if not refuted(cells[n])), CELLS)
    low, high = cells[first - 1], cells[first]
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if refuted(middle) else (low, middle)
    return float(low)


def _p_value(
    num_canaries: int, num_guesses: int, correct: int, epsilon: float, delta: float
) -> float:
    """The most probable that so many correct guesses can be at (epsilon, delta)."""
    keep = 1 / (1 + math.exp(-epsilon))
    fewer = np.arange(1, correct + 1)
    tail = _at_least(np.array(correct), num_guesses, keep)
    if delta == 0:
        return float(tail)
    between = _at_least(correct - fewer, num_guesses, keep) - tail
    return float(tail + 2 * num_canaries * delta * np.max(between / fewer))


def _at_least(number: np.ndarray, trials: int, chance: float) -> np.ndarray:
    """The probability of so many successes or more; scipy.stats would take 0.5 s to import."""
    some = np.maximum(number, 1)
    return np.where(number > 0, betainc(some, trials - some + 1, chance), 1.0)
