"""What columns of other people's answers say, in our terms, or why they cannot."""

from typing import NamedTuple

import numpy as np

from attacks.membership import log_odds
from runner.faults import BadAnswers
from runner.foreign.reading import SCHEMA, Columns
from runner.storage.answers import Answered

NEAR = 0.05  # nats, and their share, by which log-odds of float16 logits are others
TAIL = 15.0  # nats, beyond which float32 softmax is about 0 or 1
PLAIN = "identity"  # the name of the view that is the image as it is


class Kind(NamedTuple):
    """What all blocks of a file, and all files of an arm, have in common."""

    views: tuple[str, ...]
    num_classes: int | None  # None: there are no logits to tell
    columns: tuple[str, ...]  # of runner.storage.answers.Answered


class GivenBlock(NamedTuple):
    """The answers of one model to B examples."""

    label: np.ndarray  # (B,) int32
    answered: Answered
    kind: Kind
    notes: tuple[str, ...]  # what a reader of the figures must know


def block_of(columns: Columns, views: tuple[str, ...] | None, first: int, told: str) -> GivenBlock:
    """Return one block of answers, complete with whatever follows from what is there.

    Log-odds and whether the label is the largest follow from logits, where these are given for
    every view.

    Args:
        columns: as they were read.
        views: their names; None: one is "identity", more are "view0" and so on.
        first: the number of the block's first example.
        told: the file, for messages.

    Raises:
        BadAnswers: something cannot be what it should.
    """
    label = _labels(columns, first, told)
    logits, of_views = _logits(columns, label, told)
    odds = _by_view(columns, "log_odds", told)
    correct = _by_view(columns, "correct", told)
    if odds is None and logits is None and of_views is None:
        raise BadAnswers(told, "it has neither logits nor log_odds", SCHEMA)
    num_views = of_views.shape[1] if of_views is not None else 1 if odds is None else odds.shape[1]
    for name, values in (("log_odds", odds), ("correct", correct)):
        if values is not None and values.shape[1] != num_views:
            raise BadAnswers(told, f"{name} are of {values.shape[1]} views of {num_views}", SCHEMA)
    names = views or (tuple(f"view{v}" for v in range(num_views)) if num_views > 1 else (PLAIN,))
    if len(names) != num_views:
        raise BadAnswers(told, f"{len(names)} names of views for answers to {num_views}", SCHEMA)
    by_view = of_views if names != (PLAIN,) else None  # else logits are those of all views
    if logits is None and of_views is not None:
        logits = of_views[:, names.index(PLAIN) if PLAIN in names else 0]
    if by_view is not None and logits is not None and (views is None or PLAIN in names):
        _check_plain(logits, by_view[:, names.index(PLAIN) if PLAIN in names else 0], told)
    if of_views is None and logits is not None and num_views == 1:
        of_views = logits[:, None]
    if of_views is not None:
        each = [of_views[:, v] for v in range(num_views)]
        follows = np.stack([log_odds(one, label) for one in each], axis=1)
        right = np.stack([one.argmax(1) == label for one in each], axis=1)
        _check_follows("log_odds", odds, np.abs(follows) * NEAR + NEAR, follows, told)
        _check_follows("correct", correct, np.zeros_like(follows), right, told)
        odds = follows if odds is None else odds
        correct = right if correct is None else correct
    assert odds is not None
    answered = Answered(odds, logits, correct, by_view)
    given = tuple(name for name, values in answered._asdict().items() if values is not None)
    kind = Kind(names, None if logits is None else logits.shape[1], given)
    return GivenBlock(label, answered, kind, _notes(columns))


def _labels(columns: Columns, first: int, told: str) -> np.ndarray:
    if "label" not in columns and not columns.keys() & {"logits", "view_logits"} and columns:
        label = np.zeros(len(next(iter(columns.values()))), np.int32)  # log-odds have it in them
    elif "label" not in columns:
        raise BadAnswers(told, f"it has no labels, only {', '.join(columns) or 'nothing'}", SCHEMA)
    else:
        label = columns["label"]
    if label.ndim != 1 or not np.issubdtype(label.dtype, np.integer) or label.min() < 0:
        raise BadAnswers(
            told,
            f"labels should be (N,) integers from 0 on, are {label.dtype} {label.shape}, the "
            f"least {label.min()}",
            "number the classes 0 to C - 1",
        )
    number = np.arange(first, first + len(label))
    if "example" in columns and not np.array_equal(columns["example"], number):
        raise BadAnswers(
            told,
            f"examples should be in order, {first} to {first + len(label) - 1} in rows {first} on",
            "sort the rows by example; every model answers all N",
        )
    return label.astype(np.int32)


def _logits(
    columns: Columns, label: np.ndarray, told: str
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """The logits of the plain image (B, C), and of all views (B, V, C), where they are given."""
    plain, of_views = columns.get("logits"), columns.get("view_logits")
    if plain is not None and plain.shape in ((len(label),), (len(label), 1)) and label.max() < 2:
        plain = plain.reshape(len(label))  # one logit z of two classes
        plain = np.stack([np.zeros_like(plain), plain], axis=1)
    if plain is not None and plain.ndim == 3:
        if of_views is not None:
            raise BadAnswers(
                told, "logits and view_logits are both of several views", "write one of them"
            )
        plain, of_views = None, plain
    if of_views is not None and of_views.ndim == 2:  # V * C in a row, as in answers.parquet
        num_classes = plain.shape[1] if plain is not None else 0
        if not num_classes or of_views.shape[1] % num_classes:
            raise BadAnswers(
                told, f"view_logits of shape {of_views.shape} are not (N, V, C)", SCHEMA
            )
        of_views = of_views.reshape(len(of_views), -1, num_classes)
    for name, values, axes in (("logits", plain, 2), ("view_logits", of_views, 3)):
        if values is None:
            continue
        if values.ndim != axes or values.shape[-1] < 2:
            one = "; of two classes with one logit z write [0, z]" if values.ndim < 3 else ""
            raise BadAnswers(told, f"{name} of shape {values.shape} are not (N, C)", SCHEMA + one)
        _check_numbers(name, values, told)
        if label.max() >= values.shape[-1]:
            raise BadAnswers(
                told,
                f"label {label.max()} has no logit among {values.shape[-1]}",
                "number the classes 0 to C - 1",
            )
    return plain, of_views


def _by_view(columns: Columns, name: str, told: str) -> np.ndarray | None:
    """A column (B, V) of something of each view, where it is given; (B,) is one view."""
    if name not in columns:
        return None
    values = columns[name]
    values = values[:, None] if values.ndim == 1 else values
    if values.ndim != 2:
        raise BadAnswers(told, f"{name} of shape {values.shape} are not (N,) or (N, V)", SCHEMA)
    if name == "log_odds":
        _check_numbers(name, values, told)
    elif not np.isin(values, (0, 1)).all():
        raise BadAnswers(told, f"{name} holds other numbers than 0 and 1", SCHEMA)
    return values


def _check_follows(
    name: str, given: np.ndarray | None, near: np.ndarray, follows: np.ndarray, told: str
) -> None:
    """Refuse a column that says otherwise than the logits, of which it follows, in most rows.

    Where softmax of float32 is 0 or 1, whoever computed it from that has a floor: those are apart.
    """
    if given is None:
        return
    apart = np.abs(given.astype(np.float64) - follows) > near
    tail = np.abs(follows) > TAIL if name == "log_odds" else np.zeros_like(apart)
    if 2 * (apart & ~tail).sum() > max((~tail).sum(), 1):
        raise BadAnswers(
            told,
            f"{name} are not those of the logits beside them, in {(apart & ~tail).sum()} of "
            f"{(~tail).sum()} answers",
            "leave them out: they follow from logits",
        )


def _check_plain(logits: np.ndarray, of_view: np.ndarray, told: str) -> None:
    """Refuse logits (B, C) that are not those of the view that is the plain image, in most rows."""
    of_row = [values.astype(np.float64) for values in (logits, of_view)]
    there, here = (values - values.mean(axis=1, keepdims=True) for values in of_row)
    apart = (np.abs(there - here) > NEAR * np.abs(there) + NEAR).any(axis=1)
    if 2 * apart.sum() > len(apart):
        raise BadAnswers(
            told,
            f"logits are not those of the plain image among view_logits, in {apart.sum()} of "
            f"{len(apart)} rows",
            f"the view `{PLAIN}` is the plain image, and without names the first: name the views",
        )


def _check_numbers(name: str, values: np.ndarray, told: str) -> None:
    if not np.issubdtype(values.dtype, np.floating):
        raise BadAnswers(told, f"{name} are {values.dtype}, not float", SCHEMA)
    if bad := int((~np.isfinite(values)).sum()):
        raise BadAnswers(
            told,
            f"{bad} of {name} are NaN or infinite",
            "ask the model again in float32; of log-probabilities, clip p at 1e-30 before np.log",
        )
    if np.abs(values, dtype=np.float64).max() > np.finfo(np.float32).max:
        raise BadAnswers(told, f"{name} do not fit into float32", "ask the model in float32")


def _notes(columns: Columns) -> tuple[str, ...]:
    notes = []
    if "label" not in columns:
        notes.append(
            "there are no labels: all examples are taken for one class, and what is told by class "
            "is told of all"
        )
    for name in ("logits", "view_logits", "log_odds"):
        if name not in columns:
            continue
        kinds = (("bfloat16", "two", _is_bfloat16), ("float16", "three", _is_float16))
        found = next(((kind, few) for kind, few, of in kinds if of(columns[name])), None)
        if found:
            notes.append(
                f"{name} have no more digits than {found[0]}, whose {found[1]} digits let scores "
                "tie; true positive rates at small false positive rates suffer from ties"
            )
    return tuple(notes)


def _is_float16(values: np.ndarray) -> bool:
    """Whether numbers are float16, or floats that float16 has, and not whole ones alone."""
    if values.dtype == np.float16:
        return True
    if values.dtype.kind != "f" or not (values != np.rint(values)).any():
        return False
    with np.errstate(over="ignore"):
        return bool((values.astype(np.float16) == values).all())


def _is_bfloat16(values: np.ndarray) -> bool:
    """Whether float32 holds only numbers that bfloat16 has, and not whole ones alone."""
    if values.dtype != np.float32 or not (values != np.rint(values)).any():
        return False
    return not (np.ascontiguousarray(values).view(np.uint32) & np.uint32(0xFFFF)).any()
