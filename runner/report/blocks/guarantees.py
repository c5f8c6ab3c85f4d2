"""What each arm claims of differential privacy."""

import csv
import io
from typing import Any, NamedTuple

from runner.report.lower_bounds import known_bounds
from runner.report.text import DASH, in_full, significant

HEAD = ("arm", "epsilon", "delta", "status", "of")
BOUND = ("mean", "low", "high", "num_models", "delta", "largest")


class Guarantees(NamedTuple):
    """A table as text, a row an arm, and the reasons that its last column numbers from 1."""

    head: list[str]
    rows: list[list[str]]
    reasons: list[str]


def guarantees(results: dict[str, Any]) -> Guarantees | None:
    """Return the claims of every arm; None where no arm has one and no attack bounds epsilon.

    Arms that give one reason share its number, since reasons are long.
    """
    claims = {name: arm.get("guarantee") for name, arm in results["arms"].items()}
    if not any(claims.values()) and not known_bounds(results):
        return None
    given = [claim["why"] for claim in claims.values() if claim and claim.get("why")]
    reasons = list(dict.fromkeys(given))
    rows = [[name, *_claim(claim, reasons)] for name, claim in claims.items()]
    return Guarantees([*HEAD, "why"], rows, reasons)


def guarantees_csv(results: dict[str, Any]) -> str:
    """Return every claim in full precision, once for each lower bound of its arm."""
    text = io.StringIO()
    write = csv.writer(text, lineterminator="\n").writerow
    write((*HEAD, "why", "attack", "draws", *(f"lower_bound_{key}" for key in BOUND)))
    known = known_bounds(results)
    for name, arm in results["arms"].items():
        claim = arm.get("guarantee") or {"status": "none claimed"}
        claimed = [name, *(claim.get(key) for key in (*HEAD[1:], "why"))]
        beside = [(key[1:], bound) for key, bound in known.items() if key[0] == name]
        for key, bound in beside or [(("", ""), {})]:
            write((*claimed, *key, *(bound.get(k) for k in BOUND)))
    return text.getvalue()


def _claim(claim: dict[str, Any] | None, reasons: list[str]) -> list[str]:
    """Epsilon, delta, status, of what, and the number of the reason, as text."""
    if not claim:
        return [DASH, DASH, "none claimed", DASH, DASH]
    why = claim.get("why")
    return [
        significant(claim.get("epsilon"), 4),
        in_full(claim.get("delta")),
        *(claim.get(key) or DASH for key in ("status", "of")),
        str(1 + reasons.index(why)) if why else DASH,
    ]
