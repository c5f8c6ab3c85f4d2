"""How every quantity of an arm is called and printed, and what a guess gives.

The main table, table.csv, the page's details, comparisons, the tables of a sweep and the figures
read this one table: a quantity that results.json has is shown by a line here.
"""

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any, Literal, NamedTuple

from runner.report.readings import STRONGEST, Figure, Figures, membership, rates_of
from runner.report.text import DASH, Printed, at_most, bound, percent, printed

SHOWN_RATE = 0.001  # the FPR at which the papers compare; else the smallest that was resolved


class Quantity(NamedTuple):
    """One quantity: its key in results.json, and how its figures are told."""

    key: str  # of a figure: `mean`, `low`, `high`; a path where it lies deeper: null_control/auc
    title: str
    scale: float = 100  # 100 where it is told in percent or in points
    digits: int = 1  # of a table
    unit: str = "%"
    chance: float | None = None  # what a guess gives, as results.json would have it
    # Of an arm, of an arm under each such attack, or proved of an arm under any attack.
    of: Literal["arm", "evasion", "membership", "ceiling"] = "arm"
    by: Literal["", "rate", "threshold"] = ""  # an attack has one at each of these
    at: float | str | None = None  # which of them, where one is meant
    # That have it in the main table; "" where it is by threshold: those stand in a block.
    designs: Literal["", "quarters", "all"] = "all"
    significant: bool = False  # whether so many digits are significant ones, and not decimals

    @property
    def header(self) -> str:
        """natural accuracy (%)"""
        return f"{self.title} ({self.unit})" if self.unit else self.title

    @property
    def guess(self) -> float:
        """What a guess gives, as it is drawn."""
        assert self.chance is not None, f"nobody knows what a guess gives of {self.key}"
        return self.scale * self.chance

    def read(self, figures: Figures, attack: str = "") -> Figure | None:
        """Return what an arm has of it, under an attack if it is of one; None: not measured."""
        if self.of == "evasion":
            return (figures.get(self.key) or {}).get(attack)
        if self.of == "arm":
            return _down(figures, self.key)
        if self.of == "ceiling":
            return self._proved(figures)
        if self.by == "rate":
            of_rates = rates_of(figures, attack).items()
            return next((figure for at, figure in of_rates if rate(at, figure) == self.at), None)
        read = membership(figures, attack)
        if self.by == "threshold":
            return ((read.get("thresholds") or {}).get(self.at) or {}).get(self.key)
        return _down(read, self.key)

    def printed(self, figure: Figure | None, num_models: int, overstated: bool = False) -> Printed:
        """Return a figure as a table has it; its number of models where it is not `num_models`."""
        if self.of == "ceiling":
            return Printed(at_most(self.scale * figure["mean"]) if figure else DASH)
        if self.significant:
            return bound(figure, self.digits)
        return printed(figure, self.scale, self.digits, num_models, overstated)

    def in_detail(self, figure: Figure, overstated: bool = False) -> Printed:
        """Return a figure where there is room: what is in percent has two digits at the least."""
        digits = max(self.digits, 2) if self.scale == 100 else self.digits
        return self._replace(digits=digits).printed(figure, figure.get("num_models", 0), overstated)

    def _proved(self, figures: Figures) -> Figure | None:
        """What is proved, as a figure of which there is a mean alone.

        That at zero false positives is told at the smallest rate that was asked for.
        """
        found = _down(figures, self.key)
        if found is not None and self.by == "rate":
            found = found.get(min(found, key=float, default="") if self.at == 0 else f"{self.at:g}")
        return None if found is None else {"mean": found}


QUANTITIES = {  # in the order of the main table and of table.csv
    quantity.key: quantity
    for quantity in (
        Quantity("natural_accuracy", "natural accuracy"),
        Quantity("train_accuracy", "training accuracy", designs="quarters"),
        Quantity("generalization_gap", "generalization gap", unit="points", designs="quarters"),
        Quantity("robust_accuracy", "robust accuracy", of="evasion"),
        Quantity("auc", "AUC", 1, 3, "", 0.5, of="membership"),
        Quantity("tpr_at_fpr", "TPR", of="membership", by="rate"),  # `tpr` has its title
        Quantity("precision", "precision", of="membership", by="threshold", designs=""),
        Quantity("recall", "recall", of="membership", by="threshold", designs=""),
        Quantity(
            *("epsilon_lower_bound", "epsilon at least", 1, 3, ""),
            of="membership",
            designs="",
            significant=True,
        ),
        Quantity("ceiling/audit/auc", "AUC at most", 1, 3, "", of="ceiling"),
        Quantity("ceiling/audit/tpr_at_fpr", "TPR at most", of="ceiling", by="rate"),
        Quantity("null_control/auc", "AUC of the null control", 1, 3, "", 0.5, designs=""),
        Quantity("train_time_s", "training time", 1, 1, "s", designs=""),
    )
}


def tpr(at: float) -> Quantity:
    """Return the TPR at an FPR, of which a guess finds as many; 0 is zero false positives."""
    title = f"TPR at {percent(at)} FPR" if at else "TPR at 0 false positives"
    return QUANTITIES["tpr_at_fpr"]._replace(
        title=title, digits=1 if at >= 0.01 else 2, chance=at, at=at
    )


def tpr_at_most(at: float) -> Quantity:
    """Return what is proved of the TPR at an FPR; 0 is zero false positives."""
    title = f"{tpr(at).title} at most"
    return QUANTITIES["ceiling/audit/tpr_at_fpr"]._replace(title=title, at=at)


def rate(at: str, figure: Figure) -> float:
    """Return the FPR of a TPR of results.json; 0 if it is below one false positive."""
    return 0.0 if figure["at_zero_false_positives"] else float(at)


def shown_rate(rates: Iterable[float]) -> float:
    """Return the one of some FPRs that is drawn; 0 only where all are zero false positives."""
    known = sorted(rates)
    return SHOWN_RATE if SHOWN_RATE in known else next(filter(None, known), known[0])


def every_figure(figures: Figures) -> Iterator[tuple[str, Figure]]:
    """Yield (metric, figure) of all that is known, as table.csv names them."""
    yield from ((metric, figure) for metric, (_, figure) in every_quantity(figures).items())


def every_quantity(figures: Figures) -> dict[str, tuple[Quantity, Figure]]:
    """Return all that is known, with how it is printed, by the names of table.csv."""
    known: dict[str, tuple[Quantity, Figure | None]] = {}
    for of, alike in groupby(QUANTITIES.values(), key=lambda quantity: quantity.of):
        quantities = list(alike)
        if of == "membership":
            strongest = [STRONGEST] if figures.get(STRONGEST) else []
            for attack in (*strongest, *figures.get("membership", {})):
                for name, quantity, figure in _of_attack(figures, attack, quantities):
                    known[f"membership/{attack}/{name}"] = quantity, figure
        elif of == "evasion":
            for quantity in quantities:
                for attack, figure in figures.get(quantity.key, {}).items():
                    known[f"{quantity.key}/{attack}"] = quantity, figure
        else:
            each = [at for one in quantities for at in _each_rate(figures, one)]
            known |= {name: (one, one.read(figures)) for name, one in each}
    return {metric: (quantity, figure) for metric, (quantity, figure) in known.items() if figure}


def _each_rate(figures: Figures, quantity: Quantity) -> Iterator[tuple[str, Quantity]]:
    """A quantity of an arm by its name, or one at each rate where it has rates."""
    if not quantity.by:
        yield quantity.key, quantity
        return
    for at in sorted(_down(figures, quantity.key) or {}, key=float):
        yield f"{quantity.key}/{at}", tpr_at_most(float(at))


def _of_attack(
    figures: Figures, attack: str, quantities: list[Quantity]
) -> Iterator[tuple[str, Quantity, Figure | None]]:
    """What is known of a membership attack: at each rate, at each threshold, or once."""
    read = membership(figures, attack)
    for by, alike in groupby(quantities, key=lambda quantity: quantity.by):
        some = list(alike)
        if by == "rate":
            for at, figure in rates_of(figures, attack).items():
                fpr = rate(at, figure)
                name = f"tpr_at_fpr/{at}" if fpr else "tpr_at_zero_false_positives"
                yield name, tpr(fpr), figure
        elif by == "threshold":
            for at, decided in (read.get("thresholds") or {}).items():
                for quantity in some:
                    yield f"{quantity.key}_at_threshold/{at}", quantity, decided.get(quantity.key)
        else:
            yield from ((quantity.key, quantity, _down(read, quantity.key)) for quantity in some)


def _down(figures: Figures, path: str) -> Figure | None:
    """What lies at the end of a path of keys."""
    found: Any = figures
    for key in path.split("/"):
        found = (found or {}).get(key)
    return found
