"""Whether a tree says what it was understood to say: checked by facts before anything is judged."""

from collections.abc import Sequence

import numpy as np

from attacks.membership import log_odds
from runner.faults import BadAnswers
from runner.foreign.trees.axes import Numbers
from runner.foreign.trees.kinds import Said, columns_of
from runner.foreign.trees.labels import FITS, FLOOR
from runner.foreign.trees.understood import Understood
from runner.statistics import metrics

SOME = 2048  # examples of each model that are looked at, or up to twice as many
ERRORS = 3.0  # standard errors of chance that members must be answered better by, over the models
SAME = 0.99  # the share of stored scores that are those recomputed
MEANT = 0.9  # the correlation with those recomputed from which on numbers are meant to be scores
ANYWAY = "or judge it as it is with --unverified"


def verify(told: str, of: Understood, unverified: bool) -> list[str]:
    """Return what confirms that a tree was understood, a sentence each.

    Args:
        told: the tree, for messages.
        unverified: say what does not, and go on.

    Raises:
        BadAnswers: stored scores are not those of the logits beside them; members are not answered
            better than others; labels are not answered above chance.
    """
    member = of.found.member
    judged = np.flatnonzero((member >= 0).any(axis=0))
    places = judged[:: max(1, len(judged) // SOME)]
    labels = np.zeros(member.shape[1], np.int64) if of.labels is None else of.labels
    lines, wrong = [], []
    for arm, models in of.answers.items():
        odds = [odds_of(one, of.said, labels, places) for one in models]
        checks = [_members(arm, [each.mean(axis=1) for each in odds], member[:, places])]
        checks.append(_accuracy(arm, models, of, labels, places))
        checks.append(_scores(arm, odds, of.scores.get(arm, ()), places))
        lines += [said for check in checks for said, right in check if right]
        wrong += [said for check in checks for said, right in check if not right]
    if wrong and not unverified:
        raise BadAnswers(told, "; ".join(wrong), f"do rows, labels and files go together? {ANYWAY}")
    return [*(f"verified: {said}" for said in lines), *(f"not verified: {said}" for said in wrong)]


def odds_of(numbers: Numbers, said: Said, labels: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return a model's log-odds of some examples, (K, V) float64."""
    values, label = numbers.some(places), labels[places]
    columns = columns_of(values, said, label)
    if "log_odds" in columns:
        return columns["log_odds"].reshape(len(places), -1)
    logits = columns["logits"]
    rows = logits.reshape(len(places), -1, logits.shape[-1])
    return np.stack([log_odds(rows[:, v], label) for v in range(rows.shape[1])], axis=1)


def better_by(of: Understood) -> tuple[float, float]:
    """Return by how much members are answered better, an AUC less 1/2, and its standard error."""
    member = of.found.member
    places = np.arange(0, member.shape[1], max(1, member.shape[1] // SOME))
    labels = np.zeros(member.shape[1], np.int64) if of.labels is None else of.labels
    found, errors = [], []
    for models in of.answers.values():
        for one, row in zip(models, member[:, places], strict=True):
            there, inside = row >= 0, int((row == 1).sum())
            outside = int(there.sum()) - inside
            if inside and outside:
                odds = odds_of(one, of.said, labels, places).mean(axis=1)
                found.append(metrics.auc(odds[there], row[there] == 1) - 0.5)
                errors.append(_error(inside, outside))
    if not found:
        return 0.0, 0.0
    return float(np.mean(found)), float(np.mean(errors)) / ((len(found) + 1) // 2) ** 0.5


Checks = list[tuple[str, bool]]  # a sentence, and whether it confirms


def _members(arm: str, odds: Sequence[np.ndarray], member: np.ndarray) -> Checks:
    """Whether models answer their members better, over all models beyond chance."""
    aucs, errors = [], []
    for values, row in zip(odds, member, strict=True):
        there, inside = row >= 0, int((row == 1).sum())
        outside = int(there.sum()) - inside
        if inside and outside:
            aucs.append(metrics.auc(values[there], row[there] == 1))
            errors.append(_error(inside, outside))
    if not aucs:
        return []
    better = sum(auc > 0.5 for auc in aucs)
    mean, units = float(np.mean(aucs)), (len(aucs) + 1) // 2  # pairs have one AUC
    said = (
        f"{arm}: members are answered better than others in {better} of {len(aucs)} models "
        f"(AUC {mean:.3f} on average)"
    )
    sure = 2 * better > len(aucs) and mean > 0.5 + ERRORS * float(np.mean(errors)) / units**0.5
    return [(said, bool(sure))]


def _error(inside: int, outside: int) -> float:
    """The standard error of an AUC of scores that say nothing."""
    return float(np.sqrt((inside + outside + 1) / (12 * inside * outside)))


def _accuracy(
    arm: str, models: Sequence[Numbers], of: Understood, labels: np.ndarray, places: np.ndarray
) -> Checks:
    """Whether answers to examples that models were not trained on are right beyond chance."""
    if of.said not in ("logits", "probabilities", "class log-odds", "one logit"):
        return []
    right, number, largest = 0.0, 0, np.bincount(labels[places]).max() / len(places)
    for numbers, row in zip(models, of.found.member, strict=True):
        others = places[row[places] == 0]
        if not len(others):
            continue
        values = numbers.some(others)
        if of.said == "one logit":
            said = values.reshape(len(others), 1) > 0
        else:
            said = values.argmax(axis=-1).reshape(len(others), -1)
        right += float((said == labels[others, None]).mean(axis=1).sum())
        number += len(others)
    if not number:
        return []
    rate = right / number
    classes = 2 if of.said == "one logit" else models[0].shape[-1]
    sentence = f"{arm}: labels of non-members are answered in {rate:.1%}, by chance in "
    sentence += f"{max(1 / classes, largest):.1%} at the most"
    error = np.sqrt(largest * (1 - largest) / len(places))
    return [(sentence, bool(rate > 1 / classes + ERRORS * error))]


def _scores(
    arm: str, odds: Sequence[np.ndarray], scores: Sequence[Numbers], places: np.ndarray
) -> Checks:
    """Whether stored scores are those of the logits, if that is what they are meant to be."""
    same, number, meant = 0, 0, False
    for recomputed, stored in zip(odds, scores, strict=False):
        there = stored.some(places).reshape(len(places), -1).astype(np.float64)
        off = np.abs(there - recomputed) > FITS + FITS * np.abs(recomputed)
        off &= ~((np.abs(there) > FLOOR) & (recomputed * np.sign(there) > FLOOR))
        with np.errstate(all="ignore"):
            alike = np.corrcoef(np.clip(there, -FLOOR, FLOOR).ravel(), recomputed.ravel())[0, 1]
        named = "score" in stored.array.place.lower()
        meant = meant or named or bool(alike > MEANT)
        same, number = same + int((~off).sum()), number + off.size
    if not meant:
        return []
    said = f"{arm}: {same / number:.1%} of the stored scores are those recomputed from the answers"
    return [(said, same >= SAME * number)]
