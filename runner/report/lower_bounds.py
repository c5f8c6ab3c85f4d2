"""The least epsilon that an attack's decisions bear out, by arm and number of draws."""

from typing import Any, NamedTuple

from runner.report.readings import Figure, calibrated, membership, readings
from runner.report.shadows import with_shadows
from runner.report.text import Printed, bound, in_full, significant

AT_LEAST, MOST = "epsilon at least", "(the most it could show)"


class LowerBounds(NamedTuple):
    """A table as text: two columns an attack, a row a reading that has any bound."""

    attacks: list[str]
    rows: list[tuple[str, list[Printed]]]


def lower_bounds(results: dict[str, Any]) -> LowerBounds | None:
    """Return what each attack shows at the least, beside what it could not exceed."""
    known = known_bounds(results)
    attacks = [a for a in calibrated(results) if any(attack == a for _, attack, _ in known)]
    rows = []
    for reading in readings(results):
        found = [known.get((reading.arm, attack, reading.draws)) for attack in attacks]
        if any(found):
            rows.append((reading.label, [cell for figure in found for cell in _cells(figure)]))
    return LowerBounds([with_shadows(results, a) for a in attacks], rows) if rows else None


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
        if (figure := membership(reading.figures, attack).get("epsilon_lower_bound"))
    }


def _cells(figure: Figure | None) -> tuple[Printed, Printed]:
    """A bound, and the most that it could be."""
    return bound(figure), Printed(significant((figure or {}).get("largest"), 3))
