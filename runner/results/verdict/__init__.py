"""The verdict: a few sentences on what came out, made from the results by rules.

A rule is a function of a file here. No sentence claims what its interval does not show: an order of
two arms only where their paired difference leaves 0 out, by an interval that is so wide that all
comparisons behind the sentence hold together. What a failed check forbids is not said.
"""

from typing import Any

from runner.results.verdict.checked import checked
from runner.results.verdict.cost import cost
from runner.results.verdict.evidence import Evidence
from runner.results.verdict.least import least
from runner.results.verdict.limits import limits
from runner.results.verdict.proved import proved

RULES = (least, cost, proved, checked, limits)  # in the order of their sentences


def verdict(evidence: Evidence) -> list[dict[str, Any]]:
    """Return `came_out` of results.json, whose keys docs/results_schema.md has."""
    return [sentence._asdict() for rule in RULES for sentence in rule(evidence)]
