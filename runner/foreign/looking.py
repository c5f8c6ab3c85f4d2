"""All answers looked over before anything is written: each by itself, and beside the others."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import rankdata

from runner.faults import BadAnswers
from runner.foreign._numbers import Called
from runner.foreign.answered import Kind
from runner.foreign.converting import (
    Tally,
    check_kind,
    check_labels,
    check_number,
    converted_before,
    place_of,
    plain_of,
)
from runner.foreign.listing import Given
from runner.foreign.reading import open_given
from runner.statistics import metrics
from runner.storage import store
from runner.storage.answers import read_answers
from runner.storage.cloud import Folder
from runner.storage.store import Corrupt

COMPARED = 1024  # examples, or up to twice as many, on which files are compared with each other
MATCHED = 1 << 14  # examples, or up to twice as many, on which files are matched with rows
ENDS = 1e-2  # within which files of other numbers than log-odds end where these numbers do
SURE = 6.0  # standard errors from which on answers go with another row than their own
APART = 1e-3  # nats, and their share, by which the same weights may answer otherwise elsewhere
ERRORS = 3  # standard errors of chance within which an AUC below 1/2 says nothing
UNSURE = "does not confirm"
LOG_ODDS = "they should be log(p / (1 - p)) of the label, which has the sign of p - 1/2"


class Looked(NamedTuple):
    """What is known of all answers."""

    kind: Kind  # of every file
    labels: np.ndarray  # (N,) int32
    notes: tuple[str, ...]
    orders: tuple[str, ...]  # of each arm: which row of the member matrix is whose


class _File(NamedTuple):
    """What one model answered."""

    given: Given
    kind: Kind
    labels: np.ndarray  # (N,) int32
    odds: np.ndarray  # (N,) float32, log-odds of the plain image
    right: bool  # whether every label has the largest logit, as far as anybody says
    called: Called | None = None  # which class is answered; None: not told, or looked at before


class _Shown(NamedTuple):
    """What is kept of it."""

    given: Given
    some: np.ndarray  # (K,) log-odds of examples from all over the file
    more: np.ndarray  # (L,) of more of them
    least: float
    largest: float
    auc: float  # of the log-odds, for the model's own members
    right: bool


def look_over(
    arms: Mapping[str, Sequence[Given]],
    member: np.ndarray,
    folder: Folder,
    tell: Callable[[str], object],
) -> Looked:
    """Return what all answers have in common, and what a reader of the figures must know of them.

    It writes nothing, so that what is wrong is said before anything is. What has been converted by
    these checks before is read where it was written.

    Args:
        member: (M, N) int8, who is judged.
        folder: where answers are converted.
        tell: is given a line about each arm that is read.

    Raises:
        BadAnswers: a file cannot be read, does not go with the others or holds another's answers,
            or numbers are not what they are called.
    """
    first: _File | None = None
    shown: dict[str, list[_Shown]] = {}
    for arm, files in arms.items():
        places = [place_of(folder, arm, m, given) for m, given in enumerate(files)]
        if todo := sum(not _converted(place) for place in places):
            tell(f"{arm}: looking over {todo} of {len(files)} files of answers")
        for given, place, row in zip(files, places, member, strict=True):
            one = _written(place, given) or _read(given)
            check_number(len(one.labels), member.shape[1], given)
            first = first or one
            check_labels(first.given, first.labels, given, one.labels)
            if one.called:
                one.called.check(given.told)
            check_kind(first.given, first.kind, given, one.kind)
            shown.setdefault(arm, []).append(_shown(one, row))
        _check_different(shown[arm])
        _check_rows(shown[arm], member[:, :: max(1, member.shape[1] // MATCHED)])
    assert first is not None
    notes = [note for arm, of in shown.items() for note in _remarks(arm, of, member)]
    orders = tuple(_order(arm, of) for arm, of in shown.items())
    return Looked(first.kind, first.labels, (*notes, *_same_arms(shown)), orders)


def _converted(place: Folder) -> bool:
    try:
        return converted_before(place) is not None
    except (Corrupt, OSError):
        return False


def _written(place: Folder, given: Given) -> _File | None:
    """What was converted before; None where nothing was, or it cannot be read and is made again."""
    try:
        kind = converted_before(place)
        if kind is None:
            return None
        path = str(place / store.ANSWERS)
        labels, odds = read_answers(path, "label"), read_answers(path, "log_odds")
        correct = read_answers(path, "correct") if "correct" in kind.columns else None
    except (Corrupt, OSError):
        return None
    return _File(given, kind, labels, plain_of(odds, kind.views), _all_right(correct, kind))


def _read(given: Given) -> _File:
    """What a file says; every block is looked at, and what is read of it forgotten but for this."""
    blocks, called = [], None
    with open_given(given) as read:
        for block in Tally(given).blocks(read):
            answered, kind = block.answered, block.kind
            odds = plain_of(answered.log_odds, kind.views).astype(np.float32)
            blocks.append((kind, block.label, odds, _all_right(answered.correct, kind)))
            if answered.logits is not None:
                called = called or Called(answered.logits.shape[1])
                called.add(answered.logits, block.label)
    kinds, labels, odds, right = zip(*blocks, strict=True)
    return _File(given, kinds[0], np.concatenate(labels), np.concatenate(odds), all(right), called)


def _all_right(correct: np.ndarray | None, kind: Kind) -> bool:
    return correct is not None and bool(plain_of(correct, kind.views).all())


def _shown(one: _File, row: np.ndarray) -> _Shown:
    judged = row >= 0
    return _Shown(
        one.given,
        one.odds[:: max(1, len(one.odds) // COMPARED)],
        one.odds[:: max(1, len(one.odds) // MATCHED)],
        float(one.odds.min()),
        float(one.odds.max()),
        metrics.auc(one.odds[judged], row[judged] == 1),
        one.right,
    )


def _check_different(files: Sequence[_Shown]) -> None:
    """Refuse two models of an arm that answer alike: one checkpoint, asked twice."""
    some = np.stack([one.some for one in files])
    for m, one in enumerate(some):
        same = np.flatnonzero(_same(one, some[m + 1 :]))
        if len(same):
            twin = files[m + 1 + int(same[0])]
            raise BadAnswers(
                twin.given.told,
                f"it holds the same answers as {files[m].given.told}",
                "no two models that were trained apart answer alike: was one checkpoint asked "
                "twice? Write each model's own answers",
            )


def _check_rows(files: Sequence[_Shown], member: np.ndarray) -> None:
    """Refuse files of which one goes with another row of the matrix (M, L) and not with its own.

    A row's mirror is left to `_remarks`: what goes with it may be a model that answers its members
    worse.
    """
    judged = member >= 0
    share = (member == 1).sum(axis=1) / np.maximum(judged.sum(axis=1), 1)
    signs = np.where(judged, (member == 1) - share[:, None], 0.0)
    for m, one in enumerate(files):
        ranks = rankdata(one.more) - (len(one.more) + 1) / 2
        spread = ranks.std() * np.linalg.norm(signs, axis=1)
        goes = signs @ ranks / np.maximum(spread, 1e-12)  # in standard errors of chance
        row = int(goes.argmax())
        if goes[row] > SURE and -goes[row] / 2 < goes[m] < goes[row] / 2:
            raise BadAnswers(
                one.given.told,
                f"its answers go with row {row} of the member matrix ({goes[row]:.0f} standard "
                f"errors of chance) and not with row {m}, which is its own ({goes[m]:.0f})",
                "row m is the model of the m-th file by name; or name the columns of a .parquet "
                "after the files",
            )


def _order(arm: str, files: Sequence[_Shown]) -> str:
    """In which order the rows of the member matrix were taken, and what confirms it."""
    aucs = np.array([one.auc for one in files])
    better = int((aucs > 0.5).sum())
    sure = better >= 0.8 * len(files) and aucs.mean() > 0.51
    odd = [
        f"{one.given.name} ({auc:.3f})"
        for one, auc in zip(files, aucs, strict=True)
        if auc < 0.5 + (aucs.mean() - 0.5) / 5
    ]
    unsure = "" if sure else f", which {UNSURE} that rows and examples are in this order"
    if sure and odd and aucs.mean() > 0.55:
        unsure = f", but not {', '.join(odd)}, which {UNSURE} that its examples are in this order"
    return (
        f"{arm}: row m of the member matrix is the m-th file by name, {files[0].given.name} to "
        f"{files[-1].given.name}; {better} of {len(files)} models answer their members better than "
        f"others (AUC {aucs.mean():.3f}){unsure}"
    )


def _same_arms(shown: Mapping[str, Sequence[_Shown]]) -> list[str]:
    """A sentence on every two arms of which some model answers alike."""
    notes, names = [], list(shown)
    for i, arm in enumerate(names):
        for other in names[i + 1 :]:
            pairs = zip(shown[arm], shown[other], strict=True)
            alike = sum(bool(_same(a.some, b.some)) for a, b in pairs)
            if alike:
                notes.append(
                    f"{alike} of {len(shown[arm])} models of {arm} and {other} give the same "
                    "answers, as one checkpoint does that was asked for both"
                )
    return notes


def _same(one: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Whether log-odds (..., K) are those of one (K,), as far as they can be told apart."""
    return np.asarray(np.isclose(one, others, rtol=APART, atol=APART).all(axis=-1))


def _remarks(arm: str, files: Sequence[_Shown], member: np.ndarray) -> list[str]:
    """What is strange about the log-odds of an arm.

    Raises:
        BadAnswers: they are losses.
    """
    aucs = np.array([one.auc for one in files])
    inside, outside = ((member == entry).sum(axis=1) for entry in (1, 0))
    error = np.sqrt((inside + outside + 1) / (12 * inside * outside)).mean()
    units = (len(files) + 1) // 2  # pairs have one AUC
    worse = aucs.mean() < 0.5 - ERRORS * error / np.sqrt(units)
    said = (
        f"the log-odds of members are lower than others' (AUC {aucs.mean():.3f} over the "
        f"{len(files)} models)"
    )
    if what := _no_log_odds(files):
        raise BadAnswers(files[0].given.told, f"log_odds are {what}", f"write logits; {LOG_ODDS}")
    notes = []
    least, largest = min(one.least for one in files), max(one.largest for one in files)
    if least >= 0 and not all(one.right for one in files):
        if worse:
            raise BadAnswers(
                files[0].given.told,
                f"log_odds are losses: none of the arm's is below 0, and {said}",
                f"write logits instead; {LOG_ODDS}",
            )
        notes.append(
            f"{arm}: no log_odds is below 0, as no loss and no probability in percent is; "
            f"{LOG_ODDS}"
        )
    elif worse:
        notes.append(
            f"{arm}: {said}; do the rows of the member matrix go with the files, are log-odds "
            "above 0 where p is above 1/2, and does 1 stand for members?"
        )
    if largest <= 0:
        notes.append(f"{arm}: no log_odds is above 0, as no log-probability is; {LOG_ODDS}")
    return notes


def _no_log_odds(files: Sequence[_Shown]) -> str:
    """What the log-odds of an arm are by their range, where that is certain; else "".

    Log-odds of a model that is ever sure leave [0, 1], and those of several models do not all end
    at the same number.
    """
    least, largest = (
        np.array([getattr(one, end) for one in files]) for end in ("least", "largest")
    )
    if least.min() >= -ENDS and 0.5 < largest.max() <= 1 + ENDS:
        return "probabilities: all of the arm's lie in [0, 1], where log-odds are sure of nothing"
    if len(files) < 3:
        return ""
    if least.min() >= 0 and (np.abs(largest - 100) <= 100 * ENDS).all():
        return "probabilities in percent: none of the arm's is below 0, and each file's end at 100"
    if (largest <= 0).all() and (largest > -ENDS).all():
        return "log-probabilities: none of the arm's is above 0, and each file's end at 0"
    if (least >= 0).all() and (least < ENDS).all() and not all(one.right for one in files):
        return "losses: none of the arm's is below 0, and each file's end at 0"
    return ""
