"""What differs between experiments, and between their arms, as tables of text."""

from typing import Any

from runner.report.blocks.comparisons import of_row, sentences, told_figures
from runner.report.quantities import every_figure
from runner.report.readings import INTERVAL, STRONGEST, by_draws, readings
from runner.report.text import csv_of

Compared = dict[str, Any]  # what compared.json holds

PAIRED = "model by model on the same examples, so what both have in common cancels"
APART = "as two samples that nothing ties together, by the intervals of both"


def in_short(compared: Compared) -> Compared:
    """Return what the one table, the figure and the terminal show: the strongest attack, or those
    that every experiment made; all where they have none in common.

    Every attack stands in the files.
    """
    every, arms = compared["attacks"]["membership"], compared["arms"].values()
    shared = {a: line for a, line in every.items() if all(a in arm["membership"] for arm in arms)}
    if any(arm.get(STRONGEST) for arm in arms):
        shared = {}
    elif not shared:
        return compared
    hidden = {attack.partition(" (")[0] for attack in every.keys() - shared.keys()}
    kept = [
        one | {"measures": {m: f for m, f in one["measures"].items() if _attack(m) not in hidden}}
        for one in compared["comparisons"]
    ]
    attacks = compared["attacks"] | {"membership": shared}
    return compared | {"attacks": attacks, "comparisons": kept}


def below_table(compared: Compared) -> list[str]:
    """Return what stands below the table of all arms."""
    told = ["Mean over models with its 95 % interval; a dash: not measured."]
    hidden = compared["attacks"]["membership"].keys() - in_short(compared)["attacks"]["membership"]
    if hidden:
        told.append("Every attack by itself stands in table.csv, which --out writes.")
    return told


def differing_rows(compared: Compared) -> list[list[str]]:
    """Return a row a key that differs: its name, then the value of each experiment."""
    return [[one["key"], *one["values"]] for one in compared["differing"]]


def difference_rows(compared: Compared, one: dict[str, Any]) -> list[list[str]]:
    """Return a row a measure of one comparison: what it is, the difference, and whether in pairs.

    A rate that neither can show is one number with the next: at zero false positives.
    """
    paired = {id(figure): figure["paired"] for figure in one["measures"].values()}
    return [
        [
            of_row(measure),
            str(measure.printed(figure, figure["num_models"])),
            "paired" if paired[id(figure)] else "unpaired",
        ]
        for measure, figure in told_figures(compared, one)
    ]


def _attack(measure: str) -> str:
    """The membership attack of a measure; "" of an accuracy."""
    return measure.split("/")[1] if measure.startswith("membership/") else ""


def title(one: dict[str, Any]) -> str:
    """Return what a comparison is called: the one arm less the other."""
    told = f" ({by_draws(one['draws'])})" if one["draws"] > 1 else ""
    return f"{one['arm']} less {one['against']}{told}"


def told(compared: Compared, one: dict[str, Any]) -> list[str]:
    """Return what a comparison tells, in sentences: how it was taken, what rises, what falls."""
    ways = {figure["paired"] for figure in one["measures"].values()}
    if not ways:
        return ["They have no measure in common."]
    if ways == {True}:
        how = f"In pairs: {PAIRED}."
    elif ways == {False}:
        how = f"Unpaired, since {one['why']}: {APART}."
    else:
        how = f"In pairs where it says so, {PAIRED}; else apart, since {one['why']}."
    return [how, *sentences(compared, one)]


def chance_note(compared: Compared) -> str:
    """Return how many intervals would leave 0 out by chance alone."""
    figures = [f for one in compared["comparisons"] for _, f in told_figures(compared, one)]
    if not figures:
        return ""
    apart = sum(figure["low"] > 0 or figure["high"] < 0 for figure in figures)
    return (
        f"{len(figures)} intervals of 95 %, not corrected for their number: if nothing differed, "
        f"about {0.05 * len(figures):.1f} would leave 0 out by chance; "
        f"{apart} {'does' if apart == 1 else 'do'}."
    )


def figures_csv(compared: Compared) -> str:
    """Return every figure of every arm in full precision, one a line; fractions, not percents."""
    lines = (
        (reading.arm, metric, reading.draws, *(figure.get(key) for key in INTERVAL))
        for reading in readings(compared)
        for metric, figure in every_figure(reading.figures)
    )
    return csv_of(("arm", "metric", "draws", *INTERVAL), lines)


def differences_csv(compared: Compared) -> str:
    """Return every difference in full precision, one a line: fractions, not points."""
    keys = (*INTERVAL, "paired")
    lines = (
        (one["arm"], one["against"], one["draws"], name, *(figure[key] for key in keys))
        for one in compared["comparisons"]
        for name, figure in one["measures"].items()
    )
    return csv_of(("arm", "against", "draws", "measure", *keys), lines)


def differing_csv(compared: Compared) -> str:
    """Return the keys in which the configurations differ, one a line."""
    labels = [one["label"] for one in compared["compared"]]
    return csv_of(("key", *labels), differing_rows(compared))
