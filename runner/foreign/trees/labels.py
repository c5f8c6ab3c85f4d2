"""The labels of a tree's examples: given, found in it, or told by scores that lie beside logits."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from runner.faults import BadAnswers
from runner.foreign.reading import readable
from runner.foreign.trees.axes import Numbers
from runner.foreign.trees.tree import Array, Tree, look_at_file

MODELS = 4  # whose answers are asked whether labels fit
AT_ONCE = 1024  # examples of which all classes of all views are compared
SOME = 2048  # examples, spread over all, that they are asked of
FITS = 0.02  # nats, and their share, within which a score is that of a class
FLOOR = 80.0  # nats, beyond which float32 of whoever computed scores may have ended
HOW = "--labels FILE gives them: .npy, .npz or .pt, (N,) classes from 0 on, in the answers' order"


class Labels(NamedTuple):
    """Labels that may be those of the examples."""

    place: str
    values: np.ndarray  # (N,) int64


def given_labels(where: str, num_examples: int, indices: np.ndarray | None) -> Labels:
    """Return the labels of a file that a user gave.

    Args:
        indices: (N,) int, which of the data set the examples are: the file may be of all of it.

    Raises:
        BadAnswers: they are no labels of N examples.
    """
    arrays = look_at_file(where)
    fitting = [array for array in arrays if _one_axis(array.shape)]
    if len(fitting) != 1:
        told = ", ".join(f"{array.place} {array.shape}" for array in arrays) or "nothing"
        raise BadAnswers(where, f"it should hold one array of labels, holds {told}", HOW)
    values = _ints(fitting[0])
    if values is None:
        raise BadAnswers(where, "labels should be whole numbers from 0 on", HOW)
    found = _of_examples(values, num_examples, indices)
    if found is None:
        why = f"{len(values)} labels for {num_examples} examples"
        if indices is not None:
            why += f", whose numbers in the data set go up to {indices.max()}"
        raise BadAnswers(where, why, HOW)
    return Labels(where, found)


def candidates(
    tree: Tree, num_examples: int, indices: np.ndarray | None, spoken_for: Sequence[str]
) -> list[Labels]:
    """Return what may be labels in a tree: whole numbers from 0 on, of each of which are several.

    One that is longer than there are examples is cut, as tools do; those that are the same once.
    """
    found: list[Labels] = []
    for array in tree.arrays:
        if array.place in spoken_for or array.dtype.kind not in "iu" or not _one_axis(array.shape):
            continue
        if array.shape[0] < num_examples or (values := _ints(array)) is None:
            continue
        cut = _of_examples(values, num_examples, indices)
        if cut is None:
            cut = values[:num_examples]
        if len(np.unique(cut)) * 2 > num_examples or len(np.unique(cut)) < 2:
            continue
        if not any(np.array_equal(cut, other.values) for other in found):
            found.append(Labels(array.place, cut))
    return found


def accuracy(models: Sequence[Numbers], labels: np.ndarray) -> float:
    """Return the share of some models' answers in which the label has the largest number.

    0 where a label has no number.
    """
    num_classes = models[0].shape[-1]
    if labels.max() >= num_classes:
        return 0.0
    some = places(len(labels))
    right = [
        (numbers.some(some).argmax(axis=-1).reshape(len(some), -1) == labels[some, None]).mean()
        for numbers in few(models)
    ]
    return float(np.mean(right))


def by_chance(labels: np.ndarray, num_models: int) -> float:
    """Return the accuracy that answers which know nothing of the labels stay below."""
    some = labels[places(len(labels))]
    share = float(np.bincount(some).max() / len(some))
    return share + 4 * np.sqrt(share * (1 - share) / len(some))


def labels_by_scores(logits: Sequence[Numbers], scores: Sequence[Numbers]) -> np.ndarray | None:
    """Return the labels (N,) of which the log-odds are the stored scores, in all that are asked.

    None unless exactly one class fits every example: several models have to agree, and all views.

    Args:
        logits: of each model, (N, [V], C).
        scores: of each, (N, [V]).
    """
    num_examples, num_classes = logits[0].num_examples, logits[0].shape[-1]
    apart = np.zeros((num_examples, num_classes))
    for numbers, stored in zip(few(logits), few(scores), strict=True):
        start = 0
        for block, score in zip(numbers.blocks(), stored.blocks(), strict=True):
            for first in range(0, len(block), AT_ONCE):
                some = block[first : first + AT_ONCE]
                here = slice(start + first, start + first + len(some))
                score_of = score[first : first + AT_ONCE].reshape(len(some), -1, 1)
                odds = _log_odds(some.reshape(len(some), -1, num_classes).astype(np.float64))
                if score_of.shape[1] != odds.shape[1]:
                    return None
                off = np.abs(odds - score_of) / (FITS + FITS * np.abs(score_of))
                off[(np.abs(score_of) > FLOOR) & (odds * np.sign(score_of) > FLOOR)] = 0
                # In the middle over views: at the floors of scores one may be apart.
                apart[here] = np.maximum(apart[here], np.median(off, axis=1))
            start += len(block)
    fitting = (apart <= 1).sum(axis=1)
    return apart.argmin(axis=1) if (fitting == 1).all() else None


def few(models: Sequence[Numbers]) -> Sequence[Numbers]:
    """Return some of the models, from all over them."""
    return models[:: max(1, len(models) // MODELS)][:MODELS]


def places(num_examples: int) -> np.ndarray:
    """Return the places of some examples, spread over all."""
    return np.arange(0, num_examples, max(1, num_examples // SOME))


def _log_odds(logits: np.ndarray) -> np.ndarray:
    """The log-odds of every class, (..., C) float64, also of one that is nearly all of the sum."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    p = np.exp(shifted)
    others = p.sum(axis=-1, keepdims=True) - p
    most = logits.argmax(axis=-1)[..., None]
    rest = p.copy()
    np.put_along_axis(rest, most, 0.0, axis=-1)
    np.put_along_axis(others, most, rest.sum(axis=-1, keepdims=True), axis=-1)
    with np.errstate(divide="ignore"):
        return shifted - np.log(others)


def _of_examples(
    values: np.ndarray, num_examples: int, indices: np.ndarray | None
) -> np.ndarray | None:
    """The labels of the examples; None where they are too few or too many."""
    if indices is not None and len(values) > indices.max():
        return values[indices]
    return values if len(values) == num_examples else None


def _one_axis(shape: tuple[int, ...]) -> bool:
    return len(shape) == 1 or (len(shape) == 2 and shape[1] == 1)


def _ints(array: Array) -> np.ndarray | None:
    """Whole numbers from 0 on, (N,) int64, or None."""
    with readable(array.place):
        values = np.asarray(array.load()).reshape(-1)
    if values.dtype.kind not in "iubf" or not len(values) or not np.isfinite(values).all():
        return None
    whole = values.astype(np.int64)
    return whole if (whole == values).all() and whole.min() >= 0 else None
