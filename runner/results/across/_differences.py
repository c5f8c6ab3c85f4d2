"""How arms of one experiment differ from those of another: in pairs of models where they share
splits, else as two samples."""

from collections.abc import Iterator
from typing import Any

from runner.report.readings import STRONGEST, readings
from runner.results.across._merged import told_alike
from runner.results.across._paired import Arrays, averaging, of_models, why_apart
from runner.results.across.stored import Stored
from runner.results.several import BOTH_WAYS
from runner.statistics.apart import difference
from runner.statistics.averages import Averaging
from runner.statistics.intervals import Interval

Figures = dict[str, Any]


def differences(first: Stored, other: Stored) -> list[dict[str, Any]]:
    """Return each arm of an experiment less the first experiment's arm of the same name.

    One that has no namesake there is compared with the first arm. Each is told with `measures`, a
    figure each, which says whether it is `paired`; and `why` where any is not.
    """
    why = why_apart(first, other)
    over = averaging(first) if not why else None
    found = []
    for arm in other.results["arms"]:
        names = first.results["arms"]
        against = arm if arm in names else next(iter(names))
        of = {r.draws: r.figures for r in readings(other.results) if r.arm == arm}
        to = {r.draws: r.figures for r in readings(first.results) if r.arm == against}
        for draws in (draws for draws in of if draws in to):
            pairs = (of_models(other, arm, draws), of_models(first, against, draws)) if over else ()
            measures = {
                name: _measure(name, figures, pairs, over, _comparable(name, first, other))
                for name, figures in _measures(of[draws], to[draws], first, other)
            }
            unpaired = [name for name, one in measures.items() if not one["paired"]]
            missing = why or "what is stored of single models does not come to results.json"
            told = {"arm": f"{other.label}: {arm}", "against": f"{first.label}: {against}"}
            told |= {"draws": draws, "why": missing if unpaired else ""}
            found.append(told | {"measures": measures})
    return found


def _measures(
    of: Figures, to: Figures, first: Stored, other: Stored
) -> Iterator[tuple[str, tuple[Figures, Figures]]]:
    """Every measure that both arms have of the same question, with both figures.

    A TPR at zero false positives is another question where there are not as many non-members.
    """
    told, here = _by_measure(of), _by_measure(to)
    for name in (name for name in told if name in here):
        both = told[name], here[name]
        zero = any(figure.get("at_zero_false_positives") for figure in both)
        alike = len({figure.get("num_negatives") for figure in both}) == 1 or not zero
        attack = name.partition("/")[2].partition("/")[0]
        if alike and (attack in ("", STRONGEST) or told_alike(first, other, name)):
            yield name, both


def _by_measure(figures: Figures) -> dict[str, Figures]:
    """The figures of an arm by the names that `comparisons` has for them."""
    found = {"natural_accuracy": figures.get("natural_accuracy")}
    robust = figures.get("robust_accuracy") or {}
    found |= {f"robust_accuracy/{attack}": figure for attack, figure in robust.items()}
    every = {STRONGEST: figures.get(STRONGEST) or {}} | (figures.get("membership") or {})
    for attack, read in every.items():
        found[f"membership/{attack}/auc"] = read.get("auc")
        for rate, figure in (read.get("tpr_at_fpr") or {}).items():
            found[f"membership/{attack}/tpr_at_fpr/{rate}"] = figure
    return {name: one for name, one in found.items() if one and one.get("mean") is not None}


def _comparable(name: str, first: Stored, other: Stored) -> bool:
    """Whether two figures are of the same images or of the same resamples and rule."""
    here, there = first.results["evaluation"], other.results["evaluation"]
    if name.startswith("membership/"):
        return here.get("tpr_rule") == there.get("tpr_rule")
    return here == there or {**here, "tpr_rule": 0} == {**there, "tpr_rule": 0}


def _measure(
    name: str,
    figures: tuple[Figures, Figures],
    pairs: tuple[dict[str, Arrays], ...],
    over: Averaging | None,
    comparable: bool,
) -> dict[str, Any]:
    """The difference of two figures: model by model where both have them, else apart."""
    if over and comparable and all(name in each for each in pairs):
        (one, resampled), (other, others) = (each[name] for each in pairs)
        if resampled is None or others is None:
            return over.mean(one - other, BOTH_WAYS)._asdict() | {"paired": True}
        if resampled.shape == others.shape:
            apart = over.leakage(one - other, resampled - others, BOTH_WAYS)
            return apart._asdict() | {"paired": True}
    both = [Interval(*(one[key] for key in Interval._fields)) for one in figures]
    return difference(*both)._asdict() | {"paired": False}
