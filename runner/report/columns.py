"""What the tables show: which quantities, in which order, of which readings.

Every figure is a mean over models with its 95 % interval.
"""

from typing import Any, NamedTuple

from runner.report.quantities import QUANTITIES, Quantity, rate, tpr, tpr_at_most
from runner.report.readings import (
    STRONGEST,
    attacks_of,
    ceilings,
    label,
    neighbours,
    rates_of,
    readings,
    with_shadows,
)
from runner.report.text import DAGGER, Printed

ANY = "any attack"


class Column(NamedTuple):
    """One quantity of every reading."""

    group: str  # the attack it belongs to, ANY of what is proved of all, or ""
    quantity: Quantity
    attack: str = ""

    @property
    def header(self) -> str:
        return self.quantity.header

    @property
    def overstated(self) -> str | None:
        """The attack that a robust accuracy may overstate."""
        return self.attack if self.quantity.of == "evasion" else None

    @property
    def title(self) -> str:
        return f"{self.group}: {self.header}" if self.group else self.header


class Row(NamedTuple):
    """The figures of one reading as text."""

    arm: str
    told: str  # over how many draws, or ""
    num_models: str
    cells: list[Printed]

    @property
    def label(self) -> str:
        return label(self.arm, self.told)


def main_columns(results: dict[str, Any]) -> list[Column]:
    """Return the columns of the main table, in order: of leakage the strongest attack's first.

    What is proved of any attack stands right behind, where it is of some arm.
    An FPR below the smallest that the non-members can show asks for zero false positives. Several
    such collapse to one column, since they are one number. Training accuracy and its gap to
    natural accuracy stand in the table in the design of the paper that tabulates them.
    """
    design = (results.get("design") or {}).get("name")
    shown = [q for q in QUANTITIES.values() if q.designs in ("all", design)]
    of = {kind: [q for q in shown if q.of == kind] for kind in ("arm", "evasion", "membership")}
    found = [Column("", quantity) for quantity in of["arm"]]
    for name in results["attacks"].get("robustness", {}):
        found += [Column(name, quantity, name) for quantity in of["evasion"]]
    every = attacks_of(results)
    for name in every:
        group = with_shadows(results, name)
        for quantity in of["membership"]:
            by_rate = quantity.by == "rate"
            each = [tpr(at) for at in rates(results, name)] if by_rate else [quantity]
            found += [Column(group, one, name) for one in each]
        found += _proved(results) if name == every[0] else []
    return found


def rows(results: dict[str, Any], shown: list[Column]) -> list[Row]:
    """Return one row a reading. Its number of models is the largest of its figures'."""
    made = []
    for reading in readings(results):
        figures = [c.quantity.read(reading.figures, c.attack) for c in shown]
        most = max((f.get("num_models", 0) for f in figures if f), default=0)
        cells = [
            c.quantity.printed(figure, most, c.overstated in reading.overstated)
            for figure, c in zip(figures, shown, strict=True)
        ]
        made.append(Row(reading.arm, reading.told, str(most), cells))
    return made


def _proved(results: dict[str, Any]) -> list[Column]:
    """The columns of what is proved of any attack, at each rate of the table; none of no arm."""
    if not ceilings(results):
        return []
    at = []
    if any(one["audit"]["tpr_at_fpr"] for one in ceilings(results).values()):  # not by interp
        at = sorted({at for name in attacks_of(results) for at in rates(results, name)})
    most = [QUANTITIES["ceiling/audit/auc"], *map(tpr_at_most, at)]
    return [Column(ANY, quantity) for quantity in most]


def rates(results: dict[str, Any], attack: str) -> list[float]:
    """Return the FPRs at which a membership attack is read, rising; 0.0 is zero false positives."""
    of_each = [rates_of(reading.figures, attack) for reading in readings(results)]
    return sorted({rate(at, figure) for rates in of_each for at, figure in rates.items()})


def path_of(results: dict[str, Any], column: Column) -> str:
    """Return where `comparisons` has differences of a column; "" of what is proved.

    Of several rates below one false positive, which are one column, it is the first.
    """
    quantity, attack = column.quantity, column.attack
    if quantity.of == "evasion":
        return f"{quantity.key}/{attack}"
    if quantity.of != "membership":
        return quantity.key if quantity.of == "arm" else ""
    if quantity.by != "rate":
        return f"membership/{attack}/{quantity.key}"
    of_each = [rates_of(reading.figures, attack) for reading in readings(results)]
    every = (pair for rates in of_each for pair in rates.items())
    at = next(at for at, figure in every if rate(at, figure) == quantity.at)
    return f"membership/{attack}/tpr_at_fpr/{at}"


def num_negatives(results: dict[str, Any], attack: str) -> int:
    """Return the number of non-members behind an attack's ROC curves: the fewest of any arm."""
    of_arms = [
        figure["num_negatives"]
        for arm in results["arms"].values()
        for figure in rates_of(arm, attack).values()
    ]
    return min(of_arms, default=results["data"]["num_negatives"])


def notes(results: dict[str, Any]) -> list[str]:
    """Return what stands below the main table: what a figure is, over what, and what misleads."""
    evaluation, data = results["evaluation"], results["data"]
    rule = evaluation["tpr_rule"].replace("_", "-")
    rule = "" if rule == "step-le" else f", TPR by the rule {rule}"
    images = "test images" if evaluation["on"] == "test" else "non-members of each model"
    found = [
        "Mean over models with its 95 % interval.",
        f"Accuracy over {evaluation['num_examples']:,} {images}; "
        f"membership against {data['num_negatives']:,} non-members of each model{rule}.",
    ]
    if STRONGEST in attacks_of(results):
        found.append(
            "The strongest attack is chosen for each figure and pair of models by what it finds in "
            "other pairs and other examples; strongest.md says which one it is."
        )
    if ceilings(results):
        found.append(
            "Any attack: what any finds at the most in expectation in this audit, whatever it "
            f"knows, by what is proved; of neighbours with {neighbours(results)}."
        )
    if any(cell.overstated for row in rows(results, main_columns(results)) for cell in row.cells):
        found.append(
            f"{DAGGER} Overstated: the attack does not average over the noise of this randomized "
            "model, so one that does would find more errors."
        )
    return found


def groups(shown: list[Column]) -> list[tuple[str, int]]:
    """Return (group, number of columns) of each run of columns of one attack."""
    found: list[tuple[str, int]] = []
    for column in shown:
        if found and found[-1][0] == column.group:
            found[-1] = (column.group, found[-1][1] + 1)
        else:
            found.append((column.group, 1))
    return found
