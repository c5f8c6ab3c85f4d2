"""Whether membership attacks can judge such answers, by some made up for a few examples."""

import math
from collections.abc import Iterator

import numpy as np

from attacks.membership import Examples, MembershipAttack, by_halves
from runner.experiment.config import Fault
from runner.forecast.rehearsal._trying import told
from runner.plan.circles import as_shadow, circles_of, only_partners
from runner.plan.work import Work

FEW, MORE = 64, 2000  # examples; what cannot judge the few is given more before it is refused
MARGIN = 2.0  # by which the label's logit is above the others, so that most answers are right


def faults_of_membership(work: Work) -> Iterator[Fault]:
    """Attacks that give no scores for answers of the shape that there will be."""
    views, num_classes = work.experiment.answers.names, work.dataset.num_classes
    least = max(FEW, 4 * num_classes)
    for name, attack in work.experiment.membership.attacks.items():
        wrong = _wrong(work, attack, views, least) and _wrong(work, attack, views, MORE)
        if wrong:
            shape = f"{len(views)} views, {num_classes} classes, {len(work.plan.member)} models"
            yield Fault(f"membership.attacks.{name}", f"{attack.name} with {shape}: {wrong}")


def _wrong(work: Work, attack: MembershipAttack, views: tuple[str, ...], most: int) -> str:
    """Why it cannot judge answers about so many examples, or nothing."""
    member, labels = work.plan.member, work.labels
    generator = np.random.default_rng(0)
    judged = np.flatnonzero((member >= 0).any(0))
    chosen = np.sort(generator.permutation(judged)[:most])
    member, labels = member[:, chosen], labels[chosen]
    examples = Examples(
        np.arange(len(chosen)), labels, len(chosen), max(work.dataset.num_classes, 2)
    )
    epochs = work.experiment.training.epochs
    try:
        said = [_answers(attack, views, examples, row, epochs, generator) for row in member]
        signals = np.stack([attack.signal(answers, examples) for answers in said])
        if attack.per_target:
            return _of_target(work, attack, signals, member, examples)
        return _of_all(work, attack, signals, member, examples)
    except Exception as error:
        return told(error)


def _of_target(
    work: Work,
    attack: MembershipAttack,
    signals: np.ndarray,
    member: np.ndarray,
    examples: Examples,
) -> str:
    """What is wrong with the scores of the first target."""
    if attack.needs().itself:
        scores = by_halves(attack, signals[0], _fewer_known(member[0]), examples, 0)
    else:
        others = work.plan.shadows[0][: attack.needs().num_shadows]
        rows = member[others]
        if attack.needs().outside and only_partners(work.plan.partner, work.plan.shadows):
            rows = as_shadow(rows, member[0])
        scores = attack.score(signals[0], signals[others], rows, examples, 0)
    if np.shape(scores) != (len(examples.label),):
        return f"`score` returns {np.shape(scores)}, expected one for each example"
    bad = ~np.isfinite(scores[member[0] >= 0])
    return f"it gives {bad.sum()} of {len(bad)} judged examples no score" if bad.any() else ""


def _fewer_known(row: np.ndarray) -> np.ndarray:
    """A row without so many non-members as a half may have fewer than this first target's have."""
    outside = np.flatnonzero(row == 0)
    found = row.copy()
    found[outside[: math.ceil(2 * math.sqrt(len(outside)))]] = -1
    return found


def _of_all(
    work: Work,
    attack: MembershipAttack,
    signals: np.ndarray,
    member: np.ndarray,
    examples: Examples,
) -> str:
    """What is wrong with the scores of all targets, or of the first ones that see each other."""
    circle = circles_of(work.plan.partner, work.plan.shadows)[0]
    first = examples._replace(number=examples.number[:1], label=examples.label[:1])
    attack.sums(*circle.given(signals[:, :1], member[:, :1]), first)
    given, judged = circle.given(signals, member), member[circle.models] >= 0
    totals = attack.sums(*given, examples)
    totals = {key: np.asarray(values, np.float64) for key, values in totals.items()}
    scores = attack.score_all(*given, examples, totals)
    if np.shape(scores) != judged.shape:
        return f"`score_all` returns {np.shape(scores)}, expected {judged.shape}"
    bad = np.isnan(scores[judged])
    return f"it gives {bad.sum()} of {bad.size} judged examples no score" if bad.any() else ""


def _answers(
    attack: MembershipAttack,
    views: tuple[str, ...],
    examples: Examples,
    row: np.ndarray,
    epochs: int,
    generator: np.random.Generator,
) -> np.ndarray:
    """One model's answers as the attack reads them, and no more; members get surer ones."""
    num, num_classes = len(examples.label), examples.num_classes
    if attack.reads == "loss_trace":
        falls = 1 / (1 + (row == 1)[:, None] * np.arange(epochs))
        return (falls * generator.exponential(1, (num, epochs))).astype(np.float32)
    surer = (MARGIN + (row == 1)).astype(np.float32)[:, None]
    num_read = 1 if attack.reads == "logits" else len(attack.columns(views))
    if attack.reads == "log_odds":
        return generator.standard_normal((num, num_read), np.float32) + surer
    logits = generator.standard_normal((num, num_read, num_classes), np.float32)
    logits[np.arange(num), :, examples.label] += surer
    if attack.reads == "logits":
        return logits[:, 0]
    if attack.reads == "view_logits":
        return logits
    return (logits[np.arange(num), :, examples.label] == logits.max(2)).astype(np.uint8)
