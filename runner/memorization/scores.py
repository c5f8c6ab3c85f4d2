"""How much each example of the pool is memorized, and which models that is held against."""

from typing import NamedTuple

import numpy as np

from attacks.memorization import memorization
from runner import tables
from runner.data import Dataset
from runner.experiment import Experiment
from runner.memorization.published import read_file
from runner.plan import Plan, Run
from runner.store import Corrupt, Store


class Scored(NamedTuple):
    """Memorization scores, and the models whose leakage is held against them."""

    score: np.ndarray  # (N,) float64 in [-1, 1]; NaN: not judged
    targets: np.ndarray  # (T,) int64, models that had no say in the scores
    standard_error: float | None = None  # the median over scores above 0; None: not known
    labels_compared: bool | None = None  # of a published file


def scored(experiment: Experiment, dataset: Dataset, plan: Plan, at: Store) -> Scored:
    """Return the scores that the experiment asks for.

    Own scores are of the first half of an arm's pairs, and the targets are the other half: a model
    that had a say in a score would leak more at high ones by its own luck alone. Arms share splits
    and seeds, so this holds for the models of every arm. A published file leaves all models.

    Raises:
        ValueError: the published file is not of this data.
        Corrupt: an answer cannot be read.
    """
    chosen, models = experiment.memorization, np.arange(len(plan.member))
    assert chosen is not None
    if chosen.file is not None:
        published = read_file(chosen.file, dataset)
        return Scored(published.score, models, labels_compared=published.labels_compared)
    assert chosen.arm is not None
    first, targets = np.split(models, [num_scoring(len(models))])
    answers_id, labels = experiment.questions(chosen.arm).answers_id, dataset.pool_labels
    runs = [plan.arms[chosen.arm][m] for m in first]
    correct = np.stack([is_correct(at, run, answers_id, labels) for run in runs])
    score, error = memorization(correct, plan.member[first])
    errors = error[score > 0]
    return Scored(score, targets, float(np.median(errors)) if len(errors) else None)


def num_scoring(num_models: int) -> int:
    """Return how many of an arm's models give its scores: whole pairs, half of them or less."""
    return num_models // 4 * 2


def is_correct(at: Store, run: Run, answers_id: str, labels: np.ndarray) -> np.ndarray:
    """Return whether a model is right about each example of the pool, (N,) bool, by one draw."""
    path = str(at.answers(run.id, answers_id) / "answers.parquet")
    logits = tables.read_answers(path, "logits")
    if len(logits) != len(labels):
        raise Corrupt(path, f"{len(logits)} answers, but the pool has {len(labels)} examples")
    return logits.argmax(1) == labels
