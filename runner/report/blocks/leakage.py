"""Low false positive rates: each target's own threshold, one for all, and one that others set."""

import math
from collections.abc import Iterator
from typing import Any

from runner.report.blocks._block import Block
from runner.report.readings import (
    INTERVAL,
    ArmFigures,
    Figure,
    ceilings,
    finite,
    membership,
    rates_of,
    readings,
    with_shadows,
)
from runner.report.text import (
    DASH,
    Table,
    at_most,
    csv_of,
    headed,
    in_markdown,
    in_percent,
    percent,
    printed,
    titled,
)

HEAD = ["arm", "attack", "TPR of a target (%)", "pooled TPR (%)"]
HEAD += ["TPR at shadows' threshold (%)", "FPR reached (%)"]

CEILING = "TPR of a target at most (%)"
PROVED = (
    "At most: what is proved of any attack in this audit, at one false positive more, as the "
    "threshold is read off the same non-members."
)

NOTES = (
    "TPR of a target: mean over models with its 95 % interval, each at the best threshold for its "
    "own members and non-members, which no attacker knows.",
    "Pooled TPR: all targets' scores together, at one threshold. It means something where an "
    "attack makes scores of different examples comparable, as LiRA and RMIA do, and not of a raw "
    "loss.",
    "TPR at shadows' threshold: each target at a threshold that only the other pairs of models "
    "set, as an attacker can; beside it the FPR that it reached. Scores of the others were made "
    "with the target among their shadows. These intervals are over models alone.",
    "PPV: the share of members among those called members there, if so few of all are members.",
)


def leakage_tables(results: dict[str, Any]) -> list[Table]:
    """Return a table for each false positive rate that was asked for, the lowest first.

    Rates below one false positive in all targets' non-members are one table, at none.
    """
    cells: dict[float, dict[tuple[str, str], list[str]]] = {}
    negatives: dict[float, set[tuple[str, bool]]] = {}
    proved = ceilings(results)
    for reading, attack, asked, own, pooled, shadow in _each(results):
        rate = 0.0 if pooled["at_zero_false_positives"] else asked
        row = [reading.label, with_shadows(results, attack)]
        row += _row(own, pooled, shadow, rate or 1 / pooled["num_negatives"])
        if proved:
            most = _ceiling(results, reading.arm, asked)
            row.append(DASH if most is None else at_most(100 * most))
        cells.setdefault(rate, {}).setdefault((reading.label, attack), row)
        counts = f"{own['num_negatives']:,} a target, {pooled['num_negatives']:,} pooled"
        few = rate > 0 and own["at_zero_false_positives"]
        negatives.setdefault(rate, set()).add((counts, few))
    head = [*HEAD, f"PPV (%) at a prior of {_prior(results)}"]
    head += [CEILING] if proved else []
    tables = [
        Table(
            f"At an FPR of {percent(rate)}" if rate else "At 0 false positives",
            head,
            list(rows.values()),
            [],
        )
        for rate, rows in sorted(cells.items())
    ]
    for table, rate in zip(tables, sorted(cells), strict=True):
        table.notes.extend(_told(*one) for one in sorted(negatives[rate]))
    return tables


def leakage_markdown(results: dict[str, Any]) -> str:
    """Return the tables with what their columns mean; "" where nothing was measured."""
    tables = leakage_tables(results)
    if not tables:
        return ""
    parts = [f"{titled(results, 'low false positive rates')}\n"]
    notes = [*NOTES, PROVED] if CEILING in tables[0].head else NOTES
    parts.append("\n".join(f"- {in_markdown(note)}" for note in notes) + "\n")
    for table in tables:
        notes = " ".join(map(in_markdown, table.notes))
        parts.append(f"## {table.title}\n\n{headed(table.head, table.rows)}\n\n{notes}\n")
    return "\n".join(parts)


def leakage_csv(results: dict[str, Any]) -> str:
    """Return every figure in full precision; fractions, not percents.

    `tpr` is each target's at its own threshold, `pooled_tpr` that of all scores in one heap, which
    has no interval; the others are at thresholds that the other pairs of models set.
    """
    head = ("arm", "draws", "attack", "rate", "quantity", *INTERVAL, "num_negatives", "prior")
    return csv_of(head, _lines(results))


def _lines(results: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    """The lines of the CSV."""
    for reading, attack, rate, own, pooled, shadow in _each(results):
        place = reading.arm, reading.draws, attack, f"{rate:g}"
        yield (*place, "tpr", *(own[key] for key in INTERVAL), own["num_negatives"], None)
        yield (*place, "pooled_tpr", pooled["tpr"], *[None] * 3, pooled["num_negatives"], None)
        if (most := _ceiling(results, reading.arm, rate)) is not None:
            yield (*place, "tpr_at_most", most, *[None] * 3, own["num_negatives"], None)
        for quantity in ("tpr", "fpr", "ppv"):
            if figure := shadow.get(quantity):
                prior = shadow["prior"] if quantity == "ppv" else None
                values = [figure[key] for key in INTERVAL]
                yield (*place, f"{quantity}_at_shadow_threshold", *values, None, prior)


def _each(
    results: dict[str, Any],
) -> Iterator[tuple[ArmFigures, str, float, Figure, dict[str, Any], dict[str, Any]]]:
    """Reading, attack and rate, with each target's TPR, the pooled one, and what others' set."""
    for reading in readings(results):
        for attack in reading.figures.get("membership") or {}:
            read = membership(reading.figures, attack)
            pooled, shadow = read.get("pooled") or {}, read.get("at_shadow_thresholds") or {}
            for rate, own in rates_of(reading.figures, attack).items():
                if one := (pooled.get("tpr_at_fpr") or {}).get(rate):
                    yield reading, attack, float(rate), own, one, shadow.get(rate) or {}


def _ceiling(results: dict[str, Any], arm: str, rate: float) -> float | None:
    """The TPR at an asked FPR that no attack of this audit exceeds, where one is proved."""
    if proved := ceilings(results).get(arm):
        return proved["audit"]["tpr_at_fpr"].get(f"{rate:g}")
    return None


def _row(own: Figure, pooled: dict[str, Any], shadow: dict[str, Any], rate: float) -> list[str]:
    models = own["num_models"]
    digits = max(1, 1 - math.floor(math.log10(100 * rate)))  # the first two of the rate asked for
    return [
        str(in_percent(own, models)),
        f"{100 * pooled['tpr']:.1f}" if finite(pooled["tpr"]) else DASH,
        str(in_percent(shadow.get("tpr"), models)),
        str(printed(shadow.get("fpr"), 100, digits, models)),
        str(in_percent(shadow.get("ppv"), models)),
    ]


def _prior(results: dict[str, Any]) -> str:
    """The share of members that predictive values take for granted."""
    priors = {shadow["prior"] for *_, shadow in _each(results) if shadow}
    return ", ".join(percent(prior) for prior in sorted(priors)) or DASH


def _told(counts: str, few: bool) -> str:
    """How many non-members a rate is over, and whether a target has too few to show it."""
    told = " Too few in a target to show this FPR: its TPR is that at 0 false positives."
    return f"Non-members: {counts}.{told if few else ''}"


BLOCK = Block(
    "leakage",
    "Low false positive rates",
    markdown=leakage_markdown,
    csv=leakage_csv,
)
