"""What the tables show: which quantities, in which order, of which readings.

Every figure is a mean over models with its 95 % interval.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from runner.report.readings import (
    Figure,
    Figures,
    auc_of,
    label,
    membership,
    rates_of,
    readings,
    robust_accuracy_of,
    thresholds,
)
from runner.report.shadows import with_shadows
from runner.report.text import DAGGER, Printed, printed, rate_title


class Column(NamedTuple):
    """One quantity of every reading, and how it is printed."""

    group: str  # the attack it belongs to, or ""
    header: str
    scale: float  # 100 where it is printed in percent
    digits: int
    read: Callable[[Figures], Figure | None]
    evasion: str | None = None  # the attack that its robust accuracy may overstate

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
    """Return the columns of the main table, in order.

    An FPR below the smallest that the non-members can show asks for zero false positives. Several
    such collapse to one column, since they are one number. Training accuracy and its gap to
    natural accuracy stand in the table in the design of the paper that tabulates them.
    """
    found = [_accuracy("natural accuracy (%)", "natural_accuracy")]
    if (results.get("design") or {}).get("name") == "quarters":
        found.append(_accuracy("training accuracy (%)", "train_accuracy"))
        found.append(_accuracy("generalization gap (points)", "generalization_gap"))
    for name in results["attacks"].get("robustness", {}):
        found.append(Column(name, "robust accuracy (%)", 100, 1, robust_accuracy_of(name), name))
    for name in results["attacks"].get("membership", {}):
        group = with_shadows(results, name)
        found.append(Column(group, "AUC", 1, 3, auc_of(name)))
        for at in rates(results, name):
            digits = 1 if at >= 0.01 else 2
            found.append(Column(group, f"{rate_title(at)} (%)", 100, digits, tpr_at(name, at)))
    return found


def decision_columns(results: dict[str, Any], attack: str) -> list[Column]:
    """Return precision and recall at each threshold of a calibrated attack."""
    return [
        Column(f"p ≥ {at}", f"{quantity} (%)", 100, 1, _decided(attack, at, quantity))
        for at in thresholds(results, attack)
        for quantity in ("precision", "recall")
    ]


def rows(results: dict[str, Any], shown: list[Column]) -> list[Row]:
    """Return one row a reading. Its number of models is the largest of its figures'."""
    made = []
    for reading in readings(results):
        figures = [column.read(reading.figures) for column in shown]
        most = max((f["num_models"] for f in figures if f), default=0)
        cells = [
            printed(figure, c.scale, c.digits, most, c.evasion in reading.overstated)
            for figure, c in zip(figures, shown, strict=True)
        ]
        made.append(Row(reading.arm, reading.told, str(most), cells))
    return made


def rates(results: dict[str, Any], attack: str) -> list[float]:
    """Return the FPRs at which a membership attack is read, rising; 0.0 is zero false positives."""
    asked: set[float] = set()
    for reading in readings(results):
        for at, figure in rates_of(reading.figures, attack).items():
            asked.add(0.0 if figure["at_zero_false_positives"] else float(at))
    return sorted(asked)


def tpr_at(attack: str, at: float) -> Callable[[Figures], Figure | None]:
    """Return what reads the TPR at one of `rates`."""

    def read(figures: Figures) -> Figure | None:
        for asked, figure in rates_of(figures, attack).items():
            if at == (0.0 if figure["at_zero_false_positives"] else float(asked)):
                return figure
        return None

    return read


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


def _accuracy(header: str, key: str) -> Column:
    return Column("", header, 100, 1, lambda figures: figures.get(key))


def _decided(attack: str, at: str, quantity: str) -> Callable[[Figures], Figure | None]:
    def read(figures: Figures) -> Figure | None:
        decided = membership(figures, attack).get("thresholds") or {}
        return (decided.get(at) or {}).get(quantity)

    return read
