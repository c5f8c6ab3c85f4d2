"""What the tables show: which quantities, in which order, and a figure as text.

Every figure is a mean over models with its 95 % interval. What was not measured prints as a dash.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeGuard

Arm = dict[str, Any]
Figure = dict[str, Any]  # mean, low, high, num_models; None where it was not measured
DASH = "–"


class Column(NamedTuple):
    """One quantity of every arm, and how it is printed."""

    group: str  # the attack it belongs to, or ""
    header: str
    scale: float  # 100 where it is printed in percent
    digits: int
    read: Callable[[Arm], Figure | None]  # arm -> its figure

    @property
    def title(self) -> str:
        return f"{self.group}: {self.header}" if self.group else self.header


class Printed(NamedTuple):
    """A figure as text: `mean` and `interval`, and `models` where it is not the row's number."""

    mean: str
    interval: str = ""
    models: str = ""

    def __str__(self) -> str:
        return " ".join(part for part in self if part)


class Row(NamedTuple):
    arm: str
    num_models: str
    cells: list[Printed]


def main_columns(results: dict[str, Any]) -> list[Column]:
    """Return the columns of the main table, in order.

    An FPR below the smallest that the non-members can show asks for zero false positives. Several
    such collapse to one column, since they are one number.
    """
    found = [Column("", "natural accuracy (%)", 100, 1, lambda arm: arm.get("natural_accuracy"))]
    for name in results["attacks"].get("robustness", {}):
        found.append(Column(name, "robust accuracy (%)", 100, 1, _robust(name)))
    for name in results["attacks"].get("membership", {}):
        found.append(Column(name, "AUC", 1, 3, _auc(name)))
        for at in rates(results, name):
            digits = 1 if at >= 0.01 else 2
            found.append(Column(name, f"{rate_title(at)} (%)", 100, digits, _tpr(name, at)))
    return found


def rates(results: dict[str, Any], attack: str) -> list[float]:
    """Return the FPRs at which a membership attack is read, rising; 0.0 is zero false positives."""
    asked: set[float] = set()
    for arm in results["arms"].values():
        for at, figure in _rates_of(arm, attack).items():
            asked.add(0.0 if figure["at_zero_false_positives"] else float(at))
    return sorted(asked)


def tpr(arm: Arm, attack: str, at: float) -> Figure | None:
    """Return an arm's TPR at one of `rates`."""
    for asked, figure in _rates_of(arm, attack).items():
        if at == (0.0 if figure["at_zero_false_positives"] else float(asked)):
            return figure
    return None


def rate_title(at: float) -> str:
    """0.001 -> TPR at 0.1 % FPR."""
    return f"TPR at {percent(at)} FPR" if at else "TPR at 0 false positives"


def percent(rate: float) -> str:
    """0.001 -> 0.1 %, never in powers of ten."""
    return f"{100 * rate:.10f}".rstrip("0").rstrip(".") + " %"


def printed(figure: Figure | None, scale: float, digits: int, num_models: int) -> Printed:
    """Return a figure as text; its number of models only where it is not `num_models`."""
    if not measured(figure):
        return Printed(DASH)
    mean, low, high = (_number(figure.get(key), scale, digits) for key in ("mean", "low", "high"))
    models = figure["num_models"]
    told = "" if models == num_models else f"({models} {'model' if models == 1 else 'models'})"
    return Printed(mean, f"[{low}, {high}]", told)


def measured(figure: Figure | None) -> TypeGuard[Figure]:
    """Whether a figure is there and has a mean."""
    return figure is not None and finite(figure.get("mean"))


def num_negatives(results: dict[str, Any], attack: str) -> int:
    """Return the number of non-members behind an attack's ROC curves: the fewest of any arm."""
    of_arms = [
        figure["num_negatives"]
        for arm in results["arms"].values()
        for figure in _rates_of(arm, attack).values()
    ]
    return min(of_arms, default=results["data"]["num_negatives"])


def notes(results: dict[str, Any]) -> tuple[str, str]:
    """Return what stands below each form of the table: what a figure is, and what it is over."""
    evaluation, data = results["evaluation"], results["data"]
    rule = evaluation["tpr_rule"].replace("_", "-")
    rule = "" if rule == "step-le" else f", TPR by the rule {rule}"
    images = "test images" if evaluation["on"] == "test" else "non-members of each model"
    return (
        "Mean over models with its 95 % interval.",
        f"Accuracy over {evaluation['num_examples']:,} {images}; "
        f"membership against {data['num_negatives']:,} non-members of each model{rule}.",
    )


def rows(results: dict[str, Any], shown: list[Column]) -> list[Row]:
    """Return one row an arm. Its number of models is the largest of its figures'."""
    made = []
    for name, arm in results["arms"].items():
        figures = [column.read(arm) for column in shown]
        most = max((f["num_models"] for f in figures if f), default=0)
        cells = [printed(f, c.scale, c.digits, most) for f, c in zip(figures, shown, strict=True)]
        made.append(Row(name, str(most), cells))
    return made


def every_figure(arm: Arm) -> Iterator[tuple[str, Figure]]:
    """Yield (metric, figure) of all that is known of one arm, as table.csv names them."""
    known = {metric: arm.get(metric) for metric in ("natural_accuracy", "train_accuracy")}
    for attack, figure in arm.get("robust_accuracy", {}).items():
        known[f"robust_accuracy/{attack}"] = figure
    for attack, read in arm.get("membership", {}).items():
        known[f"membership/{attack}/auc"] = read and read.get("auc")
        for at, figure in _rates_of(arm, attack).items():
            zero = figure["at_zero_false_positives"]
            rate = "tpr_at_zero_false_positives" if zero else f"tpr_at_fpr/{at}"
            known[f"membership/{attack}/{rate}"] = figure
    known["null_control/auc"] = (arm.get("null_control") or {}).get("auc")
    known["train_time_s"] = arm.get("train_time_s")
    yield from ((metric, figure) for metric, figure in known.items() if figure)


def groups(shown: list[Column]) -> list[tuple[str, int]]:
    """Return (group, number of columns) of each run of columns of one attack."""
    found: list[tuple[str, int]] = []
    for column in shown:
        if found and found[-1][0] == column.group:
            found[-1] = (column.group, found[-1][1] + 1)
        else:
            found.append((column.group, 1))
    return found


def _rates_of(arm: Arm, attack: str) -> dict[str, Figure]:
    """An arm's TPRs by the asked FPR, rising, without those that were not measured."""
    read = arm.get("membership", {}).get(attack) or {}
    asked = {at: figure for at, figure in read.get("tpr_at_fpr", {}).items() if figure}
    return dict(sorted(asked.items(), key=lambda item: float(item[0])))


def _robust(attack: str) -> Callable[[Arm], Figure | None]:
    return lambda arm: arm.get("robust_accuracy", {}).get(attack)


def _auc(attack: str) -> Callable[[Arm], Figure | None]:
    return lambda arm: (arm.get("membership", {}).get(attack) or {}).get("auc")


def _tpr(attack: str, at: float) -> Callable[[Arm], Figure | None]:
    return lambda arm: tpr(arm, attack, at)


def finite(value: Any) -> TypeGuard[float]:
    """Whether a number is there and finite."""
    return value is not None and math.isfinite(value)


def _number(value: Any, scale: float, digits: int) -> str:
    return f"{scale * value:.{digits}f}" if finite(value) else DASH
