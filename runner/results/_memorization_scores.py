"""How much each example of the pool is memorized, and which models that is held against."""

from typing import NamedTuple

import numpy as np

from attacks.memorization import memorization
from runner.plan.published_scores import read_file
from runner.plan.work import Work
from runner.storage.answers import read_answers
from runner.storage.store import Corrupt


class Scored(NamedTuple):
    """Memorization scores, and the models whose leakage is held against them."""

    score: np.ndarray  # (N,) float64 in [-1, 1]; NaN: not judged
    targets: np.ndarray  # (T,) int64, models that had no say in the scores
    standard_error: float | None = None  # the median over scores above 0; None: not known
    labels_compared: bool | None = None  # of a published file


def scored(work: Work) -> Scored:
    """Return the scores that the experiment asks for.

    Own scores are of the first half of an arm's pairs, and the targets are the other half: a model
    that had a say in a score would leak more at high ones by its own luck alone. Arms share splits
    and seeds, so this holds for the models of every arm. A published file leaves all models.

    Raises:
        ValueError: the published file is not of this data.
        Corrupt: an answer cannot be read.
    """
    chosen, models = work.experiment.memorization, np.arange(len(work.plan.member))
    assert chosen is not None
    if chosen.file is not None:
        published = read_file(chosen.file, work.dataset)
        return Scored(published.score, models, labels_compared=published.labels_compared)
    assert chosen.arm is not None
    first, targets = np.split(models, [num_scoring(len(models))])
    correct = np.stack([is_correct(work, chosen.arm, m) for m in first])
    score, error = memorization(correct, work.plan.member[first])
    errors = error[score > 0]
    return Scored(score, targets, float(np.median(errors)) if len(errors) else None)


def num_scoring(num_models: int) -> int:
    """Return how many of an arm's models give its scores: whole pairs, half of them or less."""
    return num_models // 4 * 2


def is_correct(work: Work, arm: str, model: int) -> np.ndarray:
    """Return whether a model is right about each example of the pool, (N,) bool, by one draw."""
    run, labels = work.plan.arms[arm][model], work.labels
    path = str(work.store.answers_file(run.id, work.experiment.questions(arm).answers_id))
    logits = read_answers(path, "logits")
    if len(logits) != len(labels):
        raise Corrupt(path, f"{len(logits)} answers, but the pool has {len(labels)} examples")
    return logits.argmax(1) == labels


DIGITS = 12  # 0.9 - 0.2 is 0.7 to the user, and lies in the bin that ends there


def bin_edges(num_bins: int, standard_error: float | None = None) -> np.ndarray:
    """Return the ends of equal bins of (0, 1], (K + 1,) float64 from 0 to 1.

    A bin that is narrower than the error of a score sorts examples by chance, so with an error
    there may be fewer bins than were asked for, and wider ones.

    Args:
        num_bins: that are asked for.
        standard_error: of a typical score; None: not known, so that it makes no difference.
    """
    if standard_error is not None:
        num_bins = max(1, min(num_bins, int(1 / standard_error + 1e-9)))
    return np.arange(num_bins + 1) / num_bins


def bins_of(score: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return each score's bin: k for (edges[k - 1], edges[k]], 0 for 0 and below, -1 for NaN.

    Args:
        score: (N,) float, at most 1.
        edges: (K + 1,) from `bin_edges`.

    Returns:
        (N,) int64 in [-1, K].
    """
    found = np.searchsorted(np.round(edges, DIGITS), np.round(score, DIGITS), side="left")
    return np.where(np.isnan(score), -1, found)


def rates_by_bin(hit: np.ndarray, bins: np.ndarray, num_bins: int) -> np.ndarray:
    """Return the share of hits among all, then in bins 0 to `num_bins`; NaN where a bin is empty.

    Args:
        hit: (n,) bool.
        bins: (n,) int64 in [0, num_bins].

    Returns:
        (num_bins + 2,) float64.
    """
    number = np.bincount(bins, minlength=num_bins + 1)
    hits = np.bincount(bins, weights=hit, minlength=num_bins + 1)
    number, hits = np.append(number.sum(), number), np.append(hits.sum(), hits)
    return np.divide(hits, number, out=np.full(num_bins + 2, np.nan), where=number > 0)
