"""What is proved of an arm, what is claimed, and what canaries bear out from below."""

from typing import Any

from runner.report.quantities import QUANTITIES, tpr_at_most
from runner.report.text import at_most, in_full, percent, significant
from runner.results.verdict.evidence import Evidence, Sentence, listed, rate_measure
from runner.results.verdict.forbidden import of

CEILING = QUANTITIES["ceiling/audit/auc"]
NOTHING = 0.9995  # a ceiling of an AUC at or above it rules next to nothing out
MORE = "what stands here is what these attacks find, and another may find more"


def proved(evidence: Evidence) -> list[Sentence]:
    """Return what is proved or claimed of the arms, and from below, if canaries were planted."""
    return [*_from_above(evidence), *_from_below(evidence)]


def _from_above(evidence: Evidence) -> list[Sentence]:
    """Epsilon and the ceiling of each arm that states any; withheld where a check refutes it."""
    arms, forbids = evidence.results["arms"], of(evidence.results, "proof")
    refuted = {arm for one in forbids for arm in one.arms or arms}
    stated = {name: arm.get("guarantee") for name, arm in arms.items() if arm.get("guarantee")}
    found = {name: one for name, one in stated.items() if one.get("epsilon") is not None}
    parts, figures = [], []
    for name, one in found.items():
        figures += _figures(name, arms[name], one)
        if one["status"] == "proved" and name in refuted:
            parts.append(f"what is said to be proved of {name} is not, since a check failed")
        elif one["status"] == "proved":
            parts.append(f"of {name} {_epsilon(one)} is proved{_rules_out(evidence, name)}")
        else:
            parts.append(f"of {name} {_epsilon(one)} is {one['status']}, not proved here")
    left = [name for name in arms if name not in found]
    if left:
        parts.append(f"of {listed(left)} nothing is proved: {MORE}")
    text = f"{'; '.join(parts)}."
    because = [one.check for one in forbids]
    return [Sentence("proved", list(arms), text[0].upper() + text[1:], figures, because)]


def _from_below(evidence: Evidence) -> list[Sentence]:
    """The largest epsilon that canaries certify of each arm."""
    found = evidence.results.get("epsilon")
    if not found:
        return []
    parts, figures = [], []
    for name, arm in found["arms"].items():
        least, most = arm["lower_bound"], arm["most"]
        figures.append(_figure(name, "epsilon/lower_bound", least, found["confidence"]))
        parts.append(f"{significant(least, 3)} of {name} (they could show {significant(most, 3)})")
    nothing = [name for name, arm in found["arms"].items() if not arm["lower_bound"]]
    end = "; 0 is no sign of privacy" if nothing else ""
    text = f"Canaries certify, of each arm with {percent(found['confidence'])}, an epsilon of at "
    text += f"least {listed(parts)} at delta {in_full(found['delta'])}{end}."
    return [Sentence("proved/below", list(found["arms"]), text, figures)]


def _epsilon(one: dict[str, Any]) -> str:
    """epsilon 3.21 at delta 0.00001 of the weights"""
    return (
        f"epsilon {significant(one['epsilon'], 4)} at delta {in_full(one.get('delta'))} "
        f"of {one.get('of') or 'the weights'}"
    )


def _rules_out(evidence: Evidence, arm: str) -> str:
    """What no attack exceeds by it, in this audit."""
    reading = evidence.arms[arm]
    ceiling = CEILING.read(reading.figures)
    if not ceiling:
        return ""
    if ceiling["mean"] >= NOTHING:
        return ", which rules next to nothing out"
    told, measure = f"an AUC above {at_most(ceiling['mean'])}", rate_measure(evidence)
    quantity = tpr_at_most(float(measure.quantity.at or 0)) if measure else None
    if quantity and (rate := quantity.read(reading.figures)):
        at = f"at {percent(float(quantity.at or 0))}" if quantity.at else "at no"
        told += f" or more than {at_most(100 * rate['mean'])} % of the members {at} false positives"
    return f", so no attack is to be expected to have {told} here"


def _figures(name: str, arm: dict[str, Any], one: dict[str, Any]) -> list[dict[str, Any]]:
    """Epsilon and the ceiling, certain if they hold, so without an interval."""
    found = [_figure(name, "guarantee/epsilon", one["epsilon"])]
    if ceiling := CEILING.read(arm):
        found.append(_figure(name, "ceiling/audit/auc", ceiling["mean"]))
    return found


def _figure(arm: str, measure: str, value: float, confidence: float | None = None) -> dict:
    named = {"arm": arm, "against": None, "measure": measure, "mean": value}
    return {**named, "low": None, "high": None, "num_models": None, "confidence": confidence}
