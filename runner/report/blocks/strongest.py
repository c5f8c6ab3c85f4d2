"""The strongest attack of each arm, whom attacks find together, and whose place hangs on them."""

from collections.abc import Iterator
from typing import Any

from runner.report.blocks._block import Block
from runner.report.quantities import QUANTITIES, Quantity, rate, shown_rate, tpr
from runner.report.readings import (
    INTERVAL,
    STRONGEST,
    ArmFigures,
    Figure,
    membership,
    rates_of,
    readings,
)
from runner.report.text import DASH, csv_of, headed, in_markdown, in_percent, percent, titled

LEAST = 0.01  # of a share of choices that is told
MOST_NAMED = 12  # changes within noise; of more, only their number
NOTES = (
    "Any attack: members and non-members that at least one attack calls members, each at a "
    "threshold of its own at this rate; the combination is not among them. Whoever accuses all of "
    "them accuses more non-members than the rate says.",
    "Jaccard: of the members that either of two attacks finds, the share that both find.",
)


def strongest_markdown(results: dict[str, Any]) -> str:
    """Return what was chosen, what attacks find together, and changed places; "" of one attack."""
    chosen = [_choice(reading, *one) for reading in readings(results) for one in _each(reading)]
    if not chosen:
        return ""
    head = ["arm", "figure", "strongest attack", "chosen"]
    parts = [titled(results, "the strongest attack"), headed(head, chosen)]
    if (at := _rate_shown(results)) is not None:
        parts += [f"## Whom attacks find, at {percent(at)} FPR", *_together(results, at)]
    parts.append("\n".join(f"- {in_markdown(note)}" for note in (_how_chosen(results), *NOTES)))
    if places := _places(results):
        told = "\n".join(f"- {in_markdown(sentence)}" for sentence in places)
        parts += ["## Which arm leaks more, by which attack", told]
    return "\n\n".join(parts) + "\n"


def strongest_csv(results: dict[str, Any]) -> str:
    """Return every figure in full precision; fractions, not percents.

    `chosen` is the share of the choices that fell on the attack of `attacks`, of the figure that is
    named; `jaccard` is of two attacks.
    """
    head = ("arm", "draws", "rate", "quantity", "attacks", *INTERVAL)
    return csv_of(head, _lines(results))


def _each(reading: ArmFigures) -> Iterator[tuple[Quantity, Figure]]:
    """Every figure of the strongest attack; rates at zero false positives are one."""
    found = membership(reading.figures, STRONGEST)
    if not found:
        return
    yield QUANTITIES["auc"], found["auc"]
    told = {}
    for at, figure in rates_of(reading.figures, STRONGEST).items():
        told.setdefault(rate(at, figure), figure)
    yield from ((tpr(at), figure) for at, figure in told.items())


def _how_chosen(results: dict[str, Any]) -> str:
    """On what the strongest attack is chosen, and what its interval speaks of."""
    asked = (results.get("averages") or {}).get("interval", "bootstrap")
    each, others = ("model", "models") if asked == "normal" else ("pair of models", "pairs")
    numbers = [figure["num_models"] for one in readings(results) for _, figure in _each(one)]
    alone = " Of one pair alone other examples choose, and nothing is said of new models."
    return (
        f"Strongest: each {each} is judged by the attack that found most in the other half of the "
        f"{others} on the other half of the examples, over random halves of both; chosen for each "
        "figure anew. Its interval speaks of these attacks, as often as they were chosen, in new "
        f"models on {'new' if asked == 'bootstrap' else 'the same'} examples."
        f"{alone if min(numbers) <= 2 else ''}"
    )


def _choice(reading: ArmFigures, quantity: Quantity, figure: Figure) -> list[str]:
    """A figure, and which attacks were chosen for it."""
    shares = sorted(figure["chosen"].items(), key=lambda one: -one[1])
    told = [f"{name} {100 * share:.0f} %" for name, share in shares if share >= LEAST]
    printed = quantity.printed(figure, figure["num_models"])
    return [reading.label, quantity.header, str(printed), ", ".join(told)]


def _rate_shown(results: dict[str, Any]) -> float | None:
    """The rate at which finds are compared: the one that is drawn elsewhere, too."""
    overlaps = [r.figures["overlap"] for r in readings(results) if r.figures.get("overlap")]
    if not overlaps:
        return None
    figures = [membership(r.figures, STRONGEST) for r in readings(results)]
    of_rates = {at: one for figure in figures for at, one in figure["tpr_at_fpr"].items()}
    return shown_rate(rate(at, one) or 0.0 for at, one in of_rates.items())


def _together(results: dict[str, Any], at: float) -> list[str]:
    """What any attack finds, a row a reading, and what each two of them have in common."""
    found = {r.label: (r.figures.get("overlap") or {}) for r in readings(results)}
    of_rate = {
        label: (one["num_members"], one["at_fpr"][f"{at:g}"])
        for label, one in found.items()
        if f"{at:g}" in one.get("at_fpr", {})
    }
    if not of_rate:
        return []
    rows = []
    for label, (number, one) in of_rate.items():
        every = one["any"]["tpr"]
        count = f"{every['mean'] * number:.0f} of {number:,}"
        shares = [in_percent(one["any"][key], every["num_models"]) for key in ("tpr", "fpr")]
        rows.append([label, count, *map(str, shares)])
    head = ["arm", "members any attack finds", "share (%)", "FPR of any (%)"]
    pairs = list(next(iter(of_rate.values()))[1]["pairs"])
    names = [" and ".join(pair["attacks"]) for pair in pairs]
    shared = [
        [name, *(_jaccard(one["pairs"][i]["jaccard"]) for _, one in of_rate.values())]
        for i, name in enumerate(names)
    ]
    return [headed(head, rows), headed(["Jaccard of", *of_rate], shared)]


def _jaccard(figure: Figure | None) -> str:
    if not figure:
        return DASH
    return f"{figure['mean']:.2f} [{figure['low']:.2f}, {figure['high']:.2f}]"


def _places(results: dict[str, Any]) -> list[str]:
    """A sentence on each two arms whose order clearly hangs on the attack, and one on the rest."""
    places = results.get("places") or {"num_compared": 0, "changes": []}
    if not places["num_compared"]:
        return []
    clear = [one for one in places["changes"] if one["change"] == "clear"]
    noise = [one for one in places["changes"] if one["change"] != "clear"]
    told = [_sentence(results, one) for one in clear]
    if not clear:
        told.append(
            "No two arms clearly change places: where one attack has an arm above another by an "
            "interval without 0, no attack has it below by such a one."
        )
    if noise:
        told.append(f"Within noise attacks also order otherwise: {_which(results, noise)}.")
    alike = places["num_compared"] - len(places["changes"])
    told.append(
        f"Of {places['num_compared']} figures of two arms, all attacks order {alike} alike, by one "
        "draw of randomized models. Intervals are not corrected for their number."
    )
    return told


def _which(results: dict[str, Any], changes: list[dict[str, Any]]) -> str:
    """Which two arms by which figure; of many, how many by each."""
    titles = [_quantity(results, one).title for one in changes]
    if len(changes) > MOST_NAMED:
        by = ", ".join(f"{titles.count(title)} by {title}" for title in dict.fromkeys(titles))
        return f"two arms by a figure in {len(changes)} cases ({by})"
    arms = [" and ".join(one["arms"]) for one in changes]
    return "; ".join(f"{two} ({title})" for two, title in zip(arms, titles, strict=True))


def _sentence(results: dict[str, Any], one: dict[str, Any]) -> str:
    """By which attacks the first arm leaks more, and by which less."""
    quantity, (arm, other) = _quantity(results, one), one["arms"]
    sides: dict[str, list[str]] = {"more": [], "less": []}
    for attack, figure in one["under"].items():
        ends = [abs(figure[key]) * quantity.scale for key in ("low", "high")]
        open_ended = figure["low"] <= 0 <= figure["high"]
        by = f"{abs(figure['mean']) * quantity.scale:.{quantity.digits}f}"
        low, high = (f"{end:.{quantity.digits}f}" for end in sorted(ends))
        within = ", within noise" if open_ended else f" [{low}, {high}]"
        sides["more" if figure["mean"] > 0 else "less"].append(f"{attack} ({by}{within})")
    return (
        f"{quantity.title}: {arm} leaks more than {other} by {', '.join(sides['more'])}, and less "
        f"by {', '.join(sides['less'])}."
    )


def _quantity(results: dict[str, Any], one: dict[str, Any]) -> Quantity:
    """AUC, or TPR at a rate, or at zero false positives where that is what it is."""
    kind, _, at = one["figure"].partition("/")
    arms = [membership(results["arms"][arm], STRONGEST)["tpr_at_fpr"] for arm in one["arms"]]
    return tpr(min(rate(at, of_arm[at]) for of_arm in arms)) if at else QUANTITIES[kind]


def _lines(results: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    """The lines of the CSV."""
    for reading in readings(results):
        place, found = (reading.arm, reading.draws), membership(reading.figures, STRONGEST)
        figures = {"": found["auc"], **found["tpr_at_fpr"]} if found else {}
        for at, figure in figures.items():
            name = "tpr" if at else "auc"
            yield (*place, at, name, STRONGEST, *(figure[key] for key in INTERVAL))
            for attack, share in figure["chosen"].items():
                yield (*place, at, f"chosen for {name}", attack, share, None, None, None)
        for at, one in (reading.figures.get("overlap") or {"at_fpr": {}})["at_fpr"].items():
            for key, figure in one["any"].items():
                yield (*place, at, f"{key} of any", "", *(figure[key] for key in INTERVAL))
            for pair in one["pairs"]:
                figure = pair["jaccard"] or dict.fromkeys(INTERVAL)
                both = " ".join(pair["attacks"])
                yield (*place, at, "jaccard", both, *(figure[key] for key in INTERVAL))


BLOCK = Block(
    "strongest",
    "The strongest attack",
    markdown=strongest_markdown,
    csv=strongest_csv,
)
