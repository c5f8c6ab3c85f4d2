"""Who leaks least under the strongest attack: by the true positive rate, and by the AUC.

The arm with the lowest mean is held against each of the others; those whose difference may be 0
stay candidates. Which arm that is, the same figures decide, so any pair of arms could have been the
one that is told of. The intervals are those of all pairs together, k (k - 1) / 2 of k arms, each
with an equal part of the error (Bonferroni). With those of the k - 1 differences alone, an arm was
said to be below another in 7 of 100 cases of four arms that leak alike.
"""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from runner.report.quantities import Quantity
from runner.report.readings import STRONGEST, Figure, measured
from runner.results.verdict.evidence import (
    Evidence,
    Measure,
    Sentence,
    attack_of,
    auc_measure,
    by,
    called,
    listed,
    quoted,
    rate_measure,
    reference,
    signed,
    told,
)
from runner.results.verdict.forbidden import of
from runner.statistics.intervals import ERROR, Interval

NAMED = 4  # arms whose figures stand in a sentence; of more the table has them


class Ranking(NamedTuple):
    """The arms by a measure, lowest mean first, and which of them may leak least."""

    measure: Measure
    order: list[str]
    candidates: list[str]  # of `order`; the first is the one with the lowest mean
    apart: dict[str, Interval]  # the lowest less each other arm
    error: float  # of each

    @property
    def lowest(self) -> str:
        return self.order[0]

    @property
    def quantity(self) -> Quantity:
        return self.measure.quantity


def least(evidence: Evidence) -> list[Sentence]:
    """Return who leaks least by each measure; of one arm how much it leaks; what forbids it."""
    if not attack_of(evidence.results):
        return []
    if forbids := of(evidence.results, "leakage"):
        names = [one.check for one in forbids]
        why = listed(dict.fromkeys(one.follows for one in forbids))
        which = listed(f'"{name}"' for name in names)
        text = f"Who leaks, and how much, is not said here: the check {which} failed, so {why}."
        return [Sentence("least", list(evidence.arms), text, because=names)]
    if len(evidence.arms) == 1:
        return [_alone(evidence)]
    measures = [rate_measure(evidence), auc_measure(evidence)]
    rankings = [ranking(evidence, measure) for measure in measures if measure]
    return [_sentence(evidence, one, rankings[:place]) for place, one in enumerate(rankings)]


def ranking(evidence: Evidence, measure: Measure) -> Ranking:
    """Return which arms may leak least. Of a single pair of models every arm may."""
    means = {arm: _mean(measure.of(reading)) for arm, reading in evidence.arms.items()}
    order = sorted(means, key=lambda arm: means[arm])
    lowest, *others = order
    error = shared_error(len(order))
    apart = {arm: evidence.difference(lowest, arm, measure.path, error) for arm in others}
    may = [a for a in others if apart[a].high >= 0 or not evidence.tells_of_training]
    return Ranking(measure, order, [lowest, *may], apart, error)


def shared_error(num_arms: int) -> float:
    """Return how often each interval may miss, so that those of all pairs of arms hold together."""
    return ERROR / max(math.comb(num_arms, 2), 1)


def by_first_measure(evidence: Evidence) -> Ranking:
    """Return the ranking that the first sentence is about."""
    return ranking(evidence, rate_measure(evidence) or auc_measure(evidence))


def at_rate(measure: Measure) -> str:
    """at 1 % false positives"""
    at = measure.quantity.at
    return f"at {100 * at:.12g} % false positives" if at else "at no false positive"  # type: ignore[operator]


def _alone(evidence: Evidence) -> Sentence:
    """How much the one arm leaks, and whether that is more than a guess finds."""
    ((arm, reading),) = evidence.arms.items()
    parts, figures = [], []
    for measure in filter(None, (rate_measure(evidence), auc_measure(evidence))):
        figure = measure.of(reading)
        if not measured(figure):
            continue
        figures.append(quoted(measure, figure, arm))
        shown = told(measure.quantity, figure)
        guess = _guess(measure.quantity)
        if measure.quantity.by == "rate":
            parts.append(f"finds {shown} of the members {at_rate(measure)}{guess}")
        else:
            parts.append(f"has an AUC of {shown}{guess}")
    more = "" if _any_above(evidence) else "; that is not shown to be more than a guess finds"
    text = f"Of {reading.label} {_who_attacks(evidence)} {listed(parts)}{more}{_marked(evidence)}."
    return Sentence("leaks", [arm], text, figures, _because(evidence))


def _sentence(evidence: Evidence, found: Ranking, before: list[Ranking]) -> Sentence:
    """Who leaks least by one measure, by how much, and whom the data do not tell apart."""
    under = f" under {_who_attacks(evidence)}"
    parts = [f"{_who(evidence, found, '' if before else under)}: {_figures(evidence, found)}"]
    parts += filter(None, (_against(evidence, found), _others(evidence, found)))
    if before and not set(before[0].candidates) & set(found.candidates):
        parts.append("so who leaks least hangs on what is counted")
    if not _any_above(evidence):
        parts.append("no arm is shown to leak more than a guess finds")
    lead = "By AUC, over all false positive rates, " if before else ""
    text = _capital(f"{lead}{'; '.join(parts)}{_marked(evidence)}.")
    rule = "least/auc" if found.quantity.key == "auc" else "least/tpr"
    return Sentence(rule, found.candidates, text, _quoted(evidence, found), _because(evidence))


def _who(evidence: Evidence, found: Ranking, under: str) -> str:
    """The claim itself: one arm, one of several, or any of all."""
    names = [evidence.arms[arm].label for arm in found.candidates]
    if len(names) == 1:
        return f"{names[0]} leaks least{under}"
    if len(names) < len(found.order):
        return f"{listed(names, 'or')} leaks least{under}, and the data do not tell which"
    return f"the data do not tell which of {listed(names)} leaks least{under}"


def _figures(evidence: Evidence, found: Ranking) -> str:
    """The figures of the candidates; of many only the lowest mean's."""
    some = found.candidates if len(found.candidates) <= NAMED else found.candidates[:1]
    of_members = found.quantity.by == "rate"
    each = []
    for arm in some:
        figure, name = found.measure.of(evidence.arms[arm]), evidence.arms[arm].label
        if measured(figure):
            whose = f" of {'those' if each else 'the members'} of {name}" if of_members else ""
            named = "" if of_members or len(found.candidates) == 1 else f" ({name})"
            each.append(f"{told(found.quantity, figure)}{whose}{named}")
    finds = f"{at_rate(found.measure)} it finds " if of_members else ""
    return f"{finds}{listed(each)}{_guess(found.quantity)}"


def _against(evidence: Evidence, found: Ranking) -> str:
    """The lowest against the reference, or against the next where it is the reference itself."""
    name, other = evidence.arms[found.lowest].label, _held_against(evidence, found)
    is_base = other == reference(evidence.results)
    told_as = called(evidence.results, other) if is_base else f"{other}, the next"
    if other in found.candidates:
        return f"{name} less {told_as}, is {signed(found.quantity, found.apart[other])}"
    return f"{name} is {by(found.quantity, found.apart[other])} below {told_as}"


def _others(evidence: Evidence, found: Ranking) -> str:
    """That the lowest is told from the arms that are not named yet, by the nearest of them."""
    named = {*found.candidates, _held_against(evidence, found)}
    left = [arm for arm in found.order if arm not in named]
    if not left:
        return ""
    too = f", and below {listed(left[1:])} too" if left[1:] else ""
    return f"it is {by(found.quantity, found.apart[left[0]])} below {left[0]}{too}"


def _held_against(evidence: Evidence, found: Ranking) -> str:
    base = reference(evidence.results)
    return found.order[1] if found.lowest == base else base


def _quoted(evidence: Evidence, found: Ranking) -> list[dict[str, Any]]:
    """Every arm's figure, then the lowest less each other."""
    known = {arm: found.measure.of(reading) for arm, reading in evidence.arms.items()}
    own = [quoted(found.measure, known[arm] or {}, arm) for arm in found.order]
    apart = [
        quoted(found.measure, interval, found.lowest, arm, found.error)
        for arm, interval in found.apart.items()
    ]
    return [*own, *apart]


def _any_above(evidence: Evidence) -> bool:
    """Whether any arm's interval, by the rate or the AUC, is above what a guess finds."""
    return any(
        figure["low"] > measure.quantity.chance
        for measure, figure in _known(evidence)
        if measure.quantity.chance and figure.get("low") is not None
    )


def _known(evidence: Evidence) -> Iterator[tuple[Measure, Figure]]:
    for measure in filter(None, (rate_measure(evidence), auc_measure(evidence))):
        for reading in evidence.arms.values():
            figure = measure.of(reading)
            if measured(figure):
                yield measure, figure


def _who_attacks(evidence: Evidence) -> str:
    attack = attack_of(evidence.results)
    return "the strongest attack" if attack == STRONGEST else f"{attack} (the only attack)"


def _guess(quantity: Quantity) -> str:
    """What a guess gives: 1 %, 0.5; at no false positive it gives nothing that is worth a word."""
    unit = " %" if quantity.unit == "%" else ""
    return f" (a guess: {quantity.guess:.12g}{unit})" if quantity.chance else ""


def _marked(evidence: Evidence) -> str:
    """What marks every figure of leakage as the least there is."""
    return "".join(f"; understated: {one.follows}" for one in of(evidence.results, "understated"))


def _because(evidence: Evidence) -> list[str]:
    return [one.check for one in of(evidence.results, "understated")]


def _mean(figure: Figure | None) -> float:
    return figure["mean"] if measured(figure) else float("inf")


def _capital(text: str) -> str:
    """An arm's name stays as it is; a word of ours is written large."""
    return text[0].upper() + text[1:] if text.startswith("the data") else text
