"""Differences between arms, as a table, as sentences and as CSV."""

from collections.abc import Iterator
from typing import Any

from runner.report.blocks._block import Block
from runner.report.quantities import QUANTITIES, Quantity, tpr
from runner.report.readings import INTERVAL, Figure, by_draws, label, measured, membership
from runner.report.text import csv_of, headed, in_markdown, titled


def comparisons_markdown(results: dict[str, Any]) -> str:
    """Return the table of differences and what they tell; "" where nothing was compared."""
    compared = results.get("comparisons")
    if not compared:
        return ""
    columns = {_title(results, one): dict(told_figures(results, one)) for one in compared}
    measures = list(dict.fromkeys(measure for column in columns.values() for measure in column))
    rows = [
        [of_row(measure), *(_cell(column.get(measure), measure) for column in columns.values())]
        for measure in measures
    ]
    told = [sentence for one in compared for sentence in sentences(results, one)]
    parts = [
        titled(results, "differences between arms"),
        headed(["first less second", *columns], rows),
        "\n".join(f"- {in_markdown(sentence)}" for sentence in told),
        in_markdown(_note(results, list(columns.values()))),
    ]
    return "\n\n".join(parts) + "\n"


def comparisons_csv(results: dict[str, Any]) -> str:
    """Return every difference in full precision, one a line: fractions, not points."""
    lines = (
        (one["arm"], one["against"], one["draws"], name, *(figure.get(key) for key in INTERVAL))
        for one in results.get("comparisons") or []
        for name, figure in one["measures"].items()
    )
    return csv_of(("arm", "against", "draws", "measure", *INTERVAL), lines)


def told_figures(results: dict[str, Any], one: dict[str, Any]) -> Iterator[tuple[Quantity, Figure]]:
    """What is told of a comparison; rates at zero false positives are one number, told once."""
    told: set[Quantity] = set()
    for name, figure in one["measures"].items():
        kind, _, rest = name.partition("/")
        attack, _, which = rest.partition("/")
        if kind != "membership":
            found = QUANTITIES[kind]
            title = f"accuracy under {rest}" if rest else found.title
        else:
            key, _, rate = which.partition("/")
            found = QUANTITIES[key]
            if rate:
                found = tpr(0.0 if _unresolved(results, one, attack, rate) else float(rate))
            title = f"{found.title} ({attack})"
        unit = "points" if found.unit == "%" else found.unit
        measure = found._replace(title=title, unit=unit)
        if measure not in told and measured(figure):
            told.add(measure)
            yield measure, figure


def _unresolved(results: dict[str, Any], one: dict[str, Any], attack: str, rate: str) -> bool:
    """Whether one of the two arms has too few non-members to show this rate."""
    arms = (results["arms"].get(one[key]) or {} for key in ("arm", "against"))
    found = (membership(arm, attack).get("tpr_at_fpr", {}).get(rate) or {} for arm in arms)
    return any(figure.get("at_zero_false_positives") for figure in found)


def sentences(results: dict[str, Any], one: dict[str, Any]) -> list[str]:
    """What rises and what falls, a sentence each, where intervals leave 0 out."""
    found: dict[str, list[str]] = {"raises": [], "lowers": []}
    draws = _told(results, one)
    noise = f" ({draws})" if draws else ""
    for measure, figure in told_figures(results, one):
        if not _excludes_zero(figure):
            continue
        ends = [abs(figure[key]) * measure.scale for key in ("low", "high")]
        low, high = (f"{end:.{measure.digits}f}" for end in sorted(ends))
        by = f"{abs(figure['mean']) * measure.scale:.{measure.digits}f}"
        by += f" {measure.unit}" if measure.unit else ""
        verb = "lowers" if figure["mean"] < 0 else "raises"
        found[verb].append(f"{measure.title} by {by} [{low}, {high}]")
    nothing = f"Nothing here tells {one['arm']} from {one['against']}{noise}: all intervals hold 0."
    against = f"against {one['against']}{noise}"
    told = [f"{one['arm']} {verb} {'; '.join(f)} {against}." for verb, f in found.items() if f]
    return told or [nothing]


def _note(results: dict[str, Any], columns: list[dict[Quantity, Figure]]) -> str:
    """How to read the intervals, and how many would leave 0 out by chance."""
    figures = [figure for column in columns for figure in column.values()]
    apart = sum(map(_excludes_zero, figures))
    asked = (results.get("averages") or {}).get("interval", "bootstrap")
    of_leakage = " and over examples" if asked == "bootstrap" else ""
    given = (results.get("design") or {}).get("name") == "given"  # whose seeds nobody told
    seed = "" if given else " from the same seed"
    alone = asked == "bootstrap" and any(figure["num_models"] <= 2 for figure in figures)
    few = " One pair of models alone tells of these two on new examples, not of new models."
    return (
        f"Accuracies and TPRs in points. Model by model, both trained on the same examples{seed}; "
        f"95 % intervals, of leakage over pairs of models{of_leakage}, of accuracies "
        f"over pairs of models on the same images. {len(figures)} intervals, not corrected for "
        f"their number: if no arm differed in anything, about {0.05 * len(figures):.1f} would "
        f"leave 0 out by chance; {apart} {'does' if apart == 1 else 'do'}.{few if alone else ''}"
    )


def _excludes_zero(figure: Figure) -> bool:
    return figure["low"] > 0 or figure["high"] < 0


def of_row(measure: Quantity) -> str:
    return f"{measure.title}, {measure.unit}" if measure.unit else measure.title


def _cell(figure: Figure | None, measure: Quantity) -> str:
    models = figure["num_models"] if figure else 0
    return str(measure.printed(figure, models))


def _told(results: dict[str, Any], one: dict[str, Any]) -> str:
    """Of how many draws, where one of the two arms answers with noise."""
    arms = [results["arms"].get(one[key]) or {} for key in ("arm", "against")]
    return by_draws(one["draws"]) if any(arm.get("randomized") for arm in arms) else ""


def _title(results: dict[str, Any], one: dict[str, Any]) -> str:
    return label(f"{one['arm']} − {one['against']}", _told(results, one))


BLOCK = Block(
    "comparisons",
    "Differences between arms",
    markdown=comparisons_markdown,
    csv=comparisons_csv,
)
