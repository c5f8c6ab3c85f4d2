"""What the data cannot resolve: pairs of arms, false positive rates, few models; whose they are."""

from collections.abc import Iterator

from runner.report.readings import rates_of
from runner.report.text import percent
from runner.results.verdict.evidence import Evidence, Sentence, attack_of, listed, rate_measure
from runner.results.verdict.forbidden import of
from runner.results.verdict.least import NAMED, ranking

FEW_UNITS = 4  # from so many pairs on intervals held in all simulations of docs/threat_models.md


def limits(evidence: Evidence) -> list[Sentence]:
    """Return what cannot be told from these data; none where there is nothing to add."""
    if not attack_of(evidence.results) or of(evidence.results, "leakage"):
        return []
    parts = [*_pairs(evidence), *_rates(evidence), *_models(evidence), *_canaries(evidence)]
    if not parts:
        return []
    return [Sentence("limits", [], f"Not resolved: {'; '.join(parts)}.")]


def _pairs(evidence: Evidence) -> Iterator[str]:
    """The compared pairs of arms that the strongest attack's TPR does not tell apart."""
    measure = rate_measure(evidence)
    if not measure:
        return
    draws = {arm: reading.draws for arm, reading in evidence.arms.items()}
    same, told = [], set(ranking(evidence, measure).candidates)  # of these it is said already
    for one in evidence.results.get("comparisons") or []:
        pair, figure = (one["arm"], one["against"]), one["measures"].get(measure.path)
        read = figure and one["draws"] in {draws.get(arm) for arm in pair}
        if read and figure["low"] <= 0 <= figure["high"] and not told.issuperset(pair):
            same.append(listed(pair, "or"))
    if same:
        at = measure.quantity.at
        where = f"at {percent(float(at))}" if at else "at no"
        more = f", nor of {len(same) - NAMED} more pairs of arms" if len(same) > NAMED else ""
        yield f"whether {listed(same[:NAMED])} leaks more {where} false positives{more}"


def _rates(evidence: Evidence) -> Iterator[str]:
    """The rates that were asked for below one false positive."""
    first = next(iter(evidence.arms.values()))
    asked = rates_of(first.figures, attack_of(evidence.results))
    below = [percent(float(at)) for at, f in asked.items() if f["at_zero_false_positives"]]
    if below:
        least = min(figure["num_negatives"] for figure in asked.values())
        yield (
            f"false positive rates below 1 in {least:,}, the non-members of a model, so what was "
            f"asked at {listed(below)} is told at no false positive"
        )


def _models(evidence: Evidence) -> Iterator[str]:
    """Few pairs of models, of which intervals say little, or nothing of new models."""
    if not evidence.tells_of_training:
        yield "anything about new models, since a single pair of models was judged"
    elif evidence.num_units < FEW_UNITS:
        alone = evidence.num_units == (evidence.results.get("design") or {}).get("num_models")
        yield (
            f"small differences, since {evidence.num_units} {'' if alone else 'pairs of '}models "
            "are few: their intervals are wide, and less sure than they say"
        )


def _canaries(evidence: Evidence) -> Iterator[str]:
    """Of canaries alone membership is judged, which are planted to be found."""
    design = evidence.results.get("design") or {}
    if design.get("canaries"):
        yield "the leakage of ordinary examples, since planted canaries alone are judged"
