"""Which arm is the best at a column of the main table, by the rule that sentences are made by."""

from typing import Any

from runner.report.columns import Column, main_columns, path_of
from runner.report.readings import measured
from runner.results.verdict.evidence import Evidence, Measure
from runner.results.verdict.forbidden import at_the_most, of
from runner.results.verdict.least import shared_error

SIGNS = {"natural_accuracy": 1, "robust_accuracy": 1, "auc": -1, "tpr_at_fpr": -1}  # more, or less


def best(evidence: Evidence) -> list[dict[str, str]]:
    """Return `best` of results.json: the arm that is better than all others, measure by measure.

    Each paired difference to another arm leaves 0 out, by intervals that hold for all pairs of arms
    together. None is the best by a measure of which a failed check forbids to say so.
    """
    found = []
    forbidden = bool(of(evidence.results, "leakage"))
    for column in main_columns(evidence.results):
        if column.quantity.key not in SIGNS or (forbidden and column.quantity.of == "membership"):
            continue
        measure = Measure(path_of(evidence.results, column), column.quantity, column.attack)
        arm = _best_at(evidence, measure)
        if arm and not (_is_evasion(column) and at_the_most(evidence.results, arm, column.attack)):
            found.append({"arm": arm, "measure": measure.path})
    return found


def _best_at(evidence: Evidence, measure: Measure) -> str | None:
    """The best arm by one measure; None where there is none, or figures do not compare."""
    sign = SIGNS[measure.quantity.key]
    read = {arm: measure.of(reading) for arm, reading in evidence.arms.items()}
    figures: dict[str, Any] = {arm: figure for arm, figure in read.items() if measured(figure)}
    alike = len({figure["num_models"] for figure in figures.values()}) == 1
    if len(figures) < 2 or not alike or not evidence.tells_of_training:
        return None
    first, *others = sorted(figures, key=lambda arm: -sign * figures[arm]["mean"])
    for other in others:  # the nearest first: most often it is not told apart
        apart = evidence.difference(first, other, measure.path, shared_error(len(figures)))
        if min(sign * apart.low, sign * apart.high) <= 0:
            return None
    return first


def _is_evasion(column: Column) -> bool:
    return column.quantity.of == "evasion"
