"""What each arm claims of differential privacy, beside what the attacks show at the least."""

import csv
import io
from typing import Any, NamedTuple

from runner.report.as_text import DASH, printed
from runner.report.readings import (
    Figure,
    by_draws,
    calibrated,
    finite,
    measured,
    membership,
    readings,
    with_shadows,
)

HEAD = ("arm", "epsilon", "delta", "status", "of", "why")
BOUND = ("mean", "low", "high", "num_models", "delta", "largest")


class Guarantees(NamedTuple):
    """A table as text: a row an arm."""

    head: list[str]
    rows: list[list[str]]


def guarantees(results: dict[str, Any]) -> Guarantees | None:
    """Return the claims of every arm; None where no arm has one and no attack bounds epsilon."""
    asked, known = _asked(results), _bounds(results)
    claims = {name: arm.get("guarantee") for name, arm in results["arms"].items()}
    if not any(claims.values()) and not known:
        return None
    several = len({draws for _, draws in asked}) > 1
    head = [
        with_shadows(results, attack) + (f", {by_draws(draws)}" if several else "") + ": epsilon ≥"
        for attack, draws in asked
    ]
    rows = [
        [name, *_claim(claim), *(_bound(known.get((name, *key))) for key in asked)]
        for name, claim in claims.items()
    ]
    return Guarantees([*HEAD, *head], rows)


def guarantees_note(results: dict[str, Any]) -> str:
    """Return what stands below the claims: what the lower bounds beside them are, and are not."""
    deltas = {_number(bound.get("delta")) for bound in _bounds(results).values()}
    if not deltas:
        return ""
    return (
        f"A lower bound, at delta {', '.join(sorted(deltas))}, is a mean over models with its 95 % "
        "interval, each from an attack's decisions at all thresholds; whatever the model, it could "
        'not exceed what stands after "of". It is an estimate and no certificate: the examples of '
        "one model share its training, so they are no independent trials."
    )


def guarantees_csv(results: dict[str, Any]) -> str:
    """Return every claim in full precision, once for each lower bound that stands beside it."""
    text = io.StringIO()
    write = csv.writer(text, lineterminator="\n").writerow
    write((*HEAD, "attack", "draws", *(f"lower_bound_{key}" for key in BOUND)))
    known = _bounds(results)
    for name, arm in results["arms"].items():
        claim = arm.get("guarantee") or {"status": "none claimed"}
        claimed = [name, *(claim.get(key) for key in HEAD[1:])]
        beside = [(key[1:], bound) for key, bound in known.items() if key[0] == name]
        for key, bound in beside or [(("", ""), {})]:
            write((*claimed, *key, *(bound.get(k) for k in BOUND)))
    return text.getvalue()


def _asked(results: dict[str, Any]) -> list[tuple[str, int]]:
    """The attacks that bound epsilon, each by every number of draws that there is."""
    known = _bounds(results)
    return sorted(
        {(attack, draws) for _, attack, draws in known},
        key=lambda one: (calibrated(results).index(one[0]), one[1]),
    )


def _bounds(results: dict[str, Any]) -> dict[tuple[str, str, int], Figure]:
    """Each lower bound by arm, attack and draws."""
    return {
        (reading.arm, attack, reading.draws): bound
        for reading in readings(results)
        for attack in calibrated(results)
        if (bound := membership(reading.figures, attack).get("epsilon_lower_bound"))
    }


def _claim(claim: dict[str, Any] | None) -> list[str]:
    """Epsilon, delta, status, of what, and why, as text."""
    if not claim:
        return [DASH, DASH, "none claimed", DASH, DASH]
    epsilon, delta = (_number(claim.get(key)) for key in ("epsilon", "delta"))
    return [epsilon, delta, *(claim.get(key) or DASH for key in ("status", "of", "why"))]


def _number(value: float | None) -> str:
    """3.21, 0.00001, 4.56e+09: in full where that can be read."""
    if value is None:
        return DASH
    if not finite(value):
        return "unbounded"
    if abs(value) >= 1e6:
        return f"{value:.2e}"
    return f"{value:,.2f}" if value >= 0.01 else f"{value:.12f}".rstrip("0").rstrip(".") or "0"


def _bound(figure: Figure | None) -> str:
    """0.31 [0.20, 0.42] of 5.59"""
    if not measured(figure):
        return DASH
    return f"{printed(figure, 1, 2, figure['num_models'])} of {_number(figure.get('largest'))}"
