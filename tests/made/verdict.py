"""Evidence made up for the rules of the verdict: differences of means, and how wide they are."""

from collections.abc import Mapping
from typing import Any

from runner.results.verdict import verdict
from runner.results.verdict.evidence import Evidence
from runner.statistics.intervals import ERROR, Interval
from tests.made.report import arm, small_results


def results_of(aucs: Mapping[str, float], **changes: Any) -> dict[str, Any]:
    """Results of arms with such AUCs; a tenth of what is above 0.5 is found at 1 % FPR."""
    arms = {name: arm(0.5, auc, 0.01 + (auc - 0.5) / 10) for name, auc in aucs.items()}
    for name, one in arms.items():
        one["defense"] = "erm" if name == "erm" else f"{name}(weight 1)"
    design = {"name": "pairs", "num_models": 8}
    return {**small_results(), "arms": arms, "design": design, **changes}


def evidence_of(results: dict[str, Any], reach: float = 0.01, num_units: int = 4) -> Evidence:
    """Evidence whose paired differences are those of the means, +- `reach` at 5 % of error.

    The reach grows as the error shrinks, by as much as it is divided.
    """
    found = Evidence(results, num_units, lambda *_: Interval(0, 0, 0, 8))
    arms = found.arms

    def mean(name: str, measure: str) -> float:
        kind, _, rest = measure.partition("/")
        read: Any = arms[name].figures
        if kind != "membership":
            return (read[kind][rest] if rest else read[kind])["mean"]
        attack, _, figure = rest.partition("/")
        figure, _, at = figure.partition("/")
        of = read["strongest"] if attack == "strongest" else read["membership"][attack]
        return (of[figure][at] if at else of[figure])["mean"]

    def difference(one: str, other: str, measure: str, error: float) -> Interval:
        apart, wide = mean(one, measure) - mean(other, measure), reach * ERROR / error
        return Interval(apart, apart - wide, apart + wide, 8)

    return found._replace(difference=difference)


def sentences(results: dict[str, Any], **how: Any) -> dict[str, str]:
    """The verdict's sentences by their rules."""
    return {one["rule"]: one["text"] for one in verdict(evidence_of(results, **how))}
