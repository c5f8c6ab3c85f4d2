"""What each arm claims of differential privacy, beside what attacks show at the least."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from runner.report.blocks._block import Block, Files
from runner.report.html import rendered
from runner.report.quantities import QUANTITIES, shown_rate
from runner.report.readings import (
    Figure,
    calibrated,
    ceilings,
    neighbours,
    readings,
    with_shadows,
)
from runner.report.text import (
    DASH,
    Printed,
    at_most,
    csv_of,
    headed,
    in_full,
    in_markdown,
    percent,
    significant,
    titled,
)

HEAD = ("arm", "epsilon", "delta", "status", "of")
CEILINGS = ("mu", "AUC at most", "TPR at most", "in this audit")
BOUND = ("mean", "low", "high", "num_models", "delta", "largest")
LOWER = QUANTITIES["epsilon_lower_bound"]
AT_LEAST, MOST = LOWER.title, "(the most it could show)"


class Guarantees(NamedTuple):
    """A table as text, a row an arm, and the reasons that its last column numbers from 1."""

    head: list[str]
    rows: list[list[str]]
    reasons: list[str]


class ShownBounds(NamedTuple):
    """A table as text: two columns an attack, a row a reading that has any bound."""

    attacks: list[str]
    rows: list[tuple[str, list[Printed]]]


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
    ceilings = _ceilings(results)
    for row in rows if ceilings else []:
        row[-1:-1] = ceilings.get(row[0], [DASH] * len(CEILINGS))
    return Guarantees([*HEAD, *(CEILINGS if ceilings else ()), "why"], rows, reasons)


def _ceilings(results: dict[str, Any]) -> dict[str, list[str]]:
    """What no attack on an arm exceeds, as text, of the arms of which it is proved."""
    found = {}
    for name, most in ceilings(results).items():
        one, audit = most["one_example"], most["audit"]
        rate = f"{shown_rate(map(float, one['tpr_at_fpr'])):g}"
        at = f"at {percent(float(rate))} FPR"
        held = audit["tpr_at_fpr"].get(rate)
        found[name] = [
            DASH if one["mu"] is None else at_most(one["mu"]),
            at_most(one["auc"]),
            f"{at_most(100 * one['tpr_at_fpr'][rate])} % {at}",
            DASH if held is None else f"{at_most(100 * held)} % {at}",
        ]
    return found


def ceilings_note(results: dict[str, Any]) -> str:
    """Return what stands below the table where a ceiling is proved; else ""."""
    if not ceilings(results):
        return ""
    return (
        "At most: what no membership attack exceeds, whatever it knows beside the weights, of one "
        "example more or fewer; and what this audit is held to, of neighbours with "
        f"{neighbours(results)}, with one false positive more, as thresholds are read off the same "
        "non-members. mu: the smallest whose Gaussian trade-off promises no more at errors of "
        "1e-6 and above."
    )


def guarantees_markdown(results: dict[str, Any]) -> str | None:
    """Return claims of differential privacy and lower bounds; None where there is neither."""
    table = guarantees(results)
    if not table:
        return None
    reasons = [f"{i}. {in_markdown(text)}" for i, text in enumerate(table.reasons, 1)]
    parts = [
        titled(results, "privacy guarantees"),
        headed(table.head, table.rows),
        "\n".join(reasons),
        ceilings_note(results),
    ]
    if bounds := shown_bounds(results):
        head = [f"{attack}: {part}" for attack in bounds.attacks for part in (AT_LEAST, MOST)]
        rows = [[label, *map(str, cells)] for label, cells in bounds.rows]
        shown = headed(["arm", *head], rows)
        parts += ["## What the attacks show at the least", shown, lower_bounds_note(results)]
    return "\n\n".join(filter(None, parts)) + "\n"


def guarantees_csv(results: dict[str, Any]) -> str:
    """Return every claim in full precision, once for each lower bound of its arm.

    What no attack exceeds follows where it is proved of some arm: of one example added or removed,
    and under `audit_` as this audit is held to it.
    """
    head = [*HEAD, "why", "attack", "draws", *(f"lower_bound_{key}" for key in BOUND)]
    proved = {name: _in_full(most) for name, most in ceilings(results).items()}
    keys = list(dict.fromkeys(key for most in proved.values() for key in most))
    return csv_of([*head, *keys], _lines(results, proved, keys))


def guarantees_html(results: dict[str, Any], files: Files) -> str:
    """Return both tables with what they mean."""
    claims = guarantees(results)
    if not claims:
        return ""
    return rendered(
        "blocks/guarantees.html.j2",
        claims=claims,
        ceilings_note=ceilings_note(results),
        bounds=shown_bounds(results),
        bound_head=(AT_LEAST, MOST),
        bounds_note=lower_bounds_note(results),
    )


def shown_bounds(results: dict[str, Any]) -> ShownBounds | None:
    """Return what each attack shows at the least, beside what it could not exceed."""
    known = known_bounds(results)
    attacks = [a for a in calibrated(results) if any(attack == a for _, attack, _ in known)]
    rows = []
    for reading in readings(results):
        found = [known.get((reading.arm, attack, reading.draws)) for attack in attacks]
        if any(found):
            rows.append((reading.label, [cell for figure in found for cell in _cells(figure)]))
    return ShownBounds([with_shadows(results, a) for a in attacks], rows) if rows else None


def lower_bounds_note(results: dict[str, Any]) -> str:
    """Return what stands below the lower bounds: what they are, and are not."""
    deltas = {in_full(figure.get("delta")) for figure in known_bounds(results).values()}
    return (
        f"At delta {', '.join(sorted(deltas))}: a mean over models with its 95 % interval, each "
        "from an attack's decisions at all thresholds. With so few examples it could not exceed "
        "what stands beside it, whatever the model. It is an estimate and no certificate: the "
        "examples of one model share its training, so they are no independent trials."
    )


def known_bounds(results: dict[str, Any]) -> dict[tuple[str, str, int], Figure]:
    """Return each lower bound by arm, attack and draws."""
    return {
        (reading.arm, attack, reading.draws): figure
        for reading in readings(results)
        for attack in calibrated(results)
        if (figure := LOWER.read(reading.figures, attack))
    }


def _in_full(most: dict[str, Any]) -> dict[str, Any]:
    """What no attack on an arm exceeds, by the columns of the CSV."""
    one, audit = most["one_example"], most["audit"]
    rates = sorted(one["tpr_at_fpr"], key=float)
    return {
        "mu": one["mu"],
        "auc_at_most": one["auc"],
        **{f"tpr_at_most_at_fpr_{at}": one["tpr_at_fpr"][at] for at in rates},
        "audit_neighbours": audit["neighbours"],
        "audit_copies": audit["copies"],
        "audit_auc_at_most": audit["auc"],
        **{f"audit_tpr_at_most_at_fpr_{at}": audit["tpr_at_fpr"].get(at) for at in rates},
    }


def _lines(
    results: dict[str, Any], proved: dict[str, dict[str, Any]], keys: list[str]
) -> Iterator[tuple[Any, ...]]:
    """The lines of the CSV, with such keys of what is proved at their ends."""
    known = known_bounds(results)
    for name, arm in results["arms"].items():
        claim = arm.get("guarantee") or {"status": "none claimed"}
        claimed = [name, *(claim.get(key) for key in (*HEAD[1:], "why"))]
        beside = [(key[1:], bound) for key, bound in known.items() if key[0] == name]
        for key, bound in beside or [(("", ""), {})]:
            most = proved.get(name, {})
            yield (*claimed, *key, *(bound.get(k) for k in BOUND), *(most.get(k) for k in keys))


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


def _cells(figure: Figure | None) -> tuple[Printed, Printed]:
    """A bound, and the most that it could be."""
    return LOWER.printed(figure, 0), Printed(significant((figure or {}).get("largest"), 3))


BLOCK = Block("guarantees", markdown=guarantees_markdown, csv=guarantees_csv, html=guarantees_html)
