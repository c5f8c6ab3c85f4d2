"""What it costs in accuracy to leak least."""

from typing import Any

from runner.report.quantities import QUANTITIES
from runner.report.readings import measured
from runner.results.verdict.evidence import (
    Evidence,
    Measure,
    Sentence,
    attack_of,
    by,
    called,
    listed,
    quoted,
    reference,
    signed,
    told,
)
from runner.results.verdict.forbidden import at_the_most, of
from runner.results.verdict.least import NAMED, by_first_measure
from runner.statistics.intervals import ERROR, Interval

_A = "a natural accuracy of"
NATURAL = Measure("natural_accuracy", QUANTITIES["natural_accuracy"])


def cost(evidence: Evidence) -> list[Sentence]:
    """Return what the arms that may leak least cost against the reference, in both accuracies.

    All comparisons of the sentence share its error. A robust accuracy that is known to be too high
    is told as that, and no difference of it.
    """
    results, base = evidence.results, reference(evidence.results)
    if of(results, "leakage") or not attack_of(results) or not _measures(evidence, [base]):
        return []
    if len(evidence.arms) == 1:
        text = f"{evidence.arms[base].label} has {_own(evidence, base)}."
        return [Sentence("accuracy", [base], text, _figures(evidence, [base]))]
    found = by_first_measure(evidence)
    arms = [arm for arm in found.candidates if arm != base]
    if not arms:
        text = f"No defense is shown to leak less than {called(results, base)}, which has "
        text += f"{_own(evidence, base)}."
        return [Sentence("cost", [base], text, _figures(evidence, [base]))]
    return [_against(evidence, arms[:NAMED], base, len(arms[NAMED:]))]


def _against(evidence: Evidence, arms: list[str], base: str, num_more: int) -> Sentence:
    """The differences of some arms to the reference, and of how many more it does not tell."""
    measures = _measures(evidence, [*arms, base])
    compared = [(a, m) for a in arms for m in measures if not _doubtful(evidence, a, base, m)]
    error = ERROR / max(len(compared), 1)
    parts: dict[str, list[str]] = {}
    figures = []
    for arm, measure in compared:
        apart = evidence.difference(arm, base, measure.path, error)
        figures.append(quoted(measure, apart, arm, base, error))
        parts.setdefault(arm, []).append(_change(evidence, measure, apart))
    for arm, measure in ((a, m) for a in arms for m in measures if (a, m) not in compared):
        figure = measure.of(evidence.arms[arm])
        assert measured(figure)
        beside = measure.of(evidence.arms[base])
        assert measured(beside)
        figures += [quoted(measure, figure, arm), quoted(measure, beside, base)]
        own, other = (told(measure.quantity, one) for one in (figure, beside))
        most = f"has at the most {own} of {_name(measure)} ({base} {other})"
        parts.setdefault(arm, []).append(most)
    each = [f"{evidence.arms[arm].label} {listed(said)}" for arm, said in parts.items()]
    more = f"; the table has {num_more} more arms that may leak as little" if num_more else ""
    text = f"Against {called(evidence.results, base)}: {'; '.join(each)}{more}."
    because = [one.check for one in of(evidence.results, "robustness")]
    return Sentence("cost", [*arms, base], text, figures, because)


def _change(evidence: Evidence, measure: Measure, apart: Interval) -> str:
    """costs 2.8 points [2.3, 3.2] of natural accuracy"""
    if apart.high < 0 and evidence.tells_of_training:
        return f"costs {by(measure.quantity, apart)} of {_name(measure)}"
    if apart.low > 0 and evidence.tells_of_training:
        return f"gains {by(measure.quantity, apart)} of {_name(measure)}"
    return f"is not shown to change {_name(measure)} ({signed(measure.quantity, apart)})"


def _own(evidence: Evidence, arm: str) -> str:
    """An arm's accuracies: a natural accuracy of 97.0 % [96.7, 97.3] and 19.1 % under pgd20."""
    parts = []
    for measure in _measures(evidence, [arm]):
        figure = measure.of(evidence.arms[arm])
        assert measured(figure)
        most = " at the most" if _doubtful(evidence, arm, arm, measure) else ""
        shown = told(measure.quantity, figure) + most
        parts.append(f"{shown} under {measure.attack}" if measure.attack else f"{_A} {shown}")
    return listed(parts)


def _measures(evidence: Evidence, arms: list[str]) -> list[Measure]:
    """Natural accuracy, and that under the attack that leaves least, where all arms have them."""
    readings = [evidence.arms[arm] for arm in arms]

    def mean(measure: Measure) -> float:
        return sum((measure.of(reading) or {})["mean"] for reading in readings)

    robust = [
        Measure(f"robust_accuracy/{name}", QUANTITIES["robust_accuracy"], name)
        for name in evidence.results["attacks"].get("robustness") or {}
    ]
    known = [m for m in (NATURAL, *robust) if all(measured(m.of(one)) for one in readings)]
    attacked = sorted((m for m in known if m.attack), key=mean)
    return [*(m for m in known if not m.attack), *attacked[:1]]


def _doubtful(evidence: Evidence, arm: str, base: str, measure: Measure) -> bool:
    """Whether one of two accuracies under an attack is known to be too high."""
    arms = (arm, base) if measure.attack else ()
    return any(at_the_most(evidence.results, one, measure.attack) for one in arms)


def _figures(evidence: Evidence, arms: list[str]) -> list[dict[str, Any]]:
    found = []
    for arm in arms:
        for measure in _measures(evidence, arms):
            figure = measure.of(evidence.arms[arm])
            assert measured(figure)
            found.append(quoted(measure, figure, arm))
    return found


def _name(measure: Measure) -> str:
    return f"accuracy under {measure.attack}" if measure.attack else "natural accuracy"
