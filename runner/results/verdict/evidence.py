"""What the sentences of the verdict are made from, and how a sentence is kept.

Arms are read by the most draws of their noise that were asked for: whoever asks a randomized model
several times has that reading, attackers too.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from runner.report.columns import rates
from runner.report.quantities import QUANTITIES, Quantity, rate, shown_rate, tpr
from runner.report.readings import STRONGEST, ArmFigures, Figure, rates_of, readings
from runner.statistics.intervals import ERROR, Interval

# Arm, the arm it is held against, measure as in `comparisons`, and how often the interval may miss.
Difference = Callable[[str, str, str, float], Interval]


class Evidence(NamedTuple):
    """The results, and differences of two arms with intervals as wide as a sentence needs them."""

    results: dict[str, Any]  # what results.json holds, without the verdict
    num_units: int  # pairs of models, or models without a pair, that an interval counts
    difference: Difference

    @property
    def arms(self) -> dict[str, ArmFigures]:
        """Every arm's reading."""
        return {reading.arm: reading for reading in readings(self.results)}

    @property
    def tells_of_training(self) -> bool:
        """Whether a difference can be one of two trainings, and not of a single pair of models."""
        return self.num_units > 1


class Measure(NamedTuple):
    """A quantity of an arm, by its path in `comparisons`."""

    path: str
    quantity: Quantity
    attack: str = ""

    def of(self, reading: ArmFigures) -> Figure | None:
        return self.quantity.read(reading.figures, self.attack)


class Sentence(NamedTuple):
    """A sentence of the verdict, as results.json has it."""

    rule: str
    arms: list[str]
    text: str
    figures: list[dict[str, Any]] = []  # that stand in it, or that it rests on
    because: list[str] = []  # names of failed checks that forbid or mark something


def attack_of(results: dict[str, Any]) -> str:
    """Return the strongest attack, or the only one that was made; "" where there is none."""
    if any(reading.figures.get(STRONGEST) for reading in readings(results)):
        return STRONGEST
    return next(iter(results["attacks"].get("membership") or {}), "")


def rate_measure(evidence: Evidence) -> Measure | None:
    """Return the TPR of the attack at the FPR that the figures show; None where there is none."""
    results, attack = evidence.results, attack_of(evidence.results)
    found = rates(results, attack)
    if not found:
        return None
    shown = shown_rate(found)
    first = next(iter(evidence.arms.values()))
    each = rates_of(first.figures, attack).items()
    at = next(at for at, figure in each if rate(at, figure) == shown)
    return Measure(f"membership/{attack}/tpr_at_fpr/{at}", tpr(shown), attack)


def auc_measure(evidence: Evidence) -> Measure:
    """Return the AUC of the attack."""
    attack = attack_of(evidence.results)
    return Measure(f"membership/{attack}/auc", QUANTITIES["auc"], attack)


def quoted(
    measure: Measure,
    figure: Figure | Interval,
    arm: str,
    against: str | None = None,
    error: float = ERROR,
) -> dict[str, Any]:
    """Return a figure of a sentence, or a difference of two arms, as results.json has it."""
    known = figure._asdict() if isinstance(figure, Interval) else figure
    ends = {key: known.get(key) for key in ("mean", "low", "high", "num_models")}
    named = {"arm": arm, "against": against, "measure": measure.path}
    return {**named, **ends, "confidence": 1 - error}


def reference(results: dict[str, Any]) -> str:
    """Return the arm that others are held against: the named baseline, the one without a defense,
    or the first."""
    arms = results["arms"]
    named = (results.get("report") or {}).get("baseline")
    if named is not None and named in arms:
        return named
    plain = [name for name, arm in arms.items() if _undefended(arm)]
    return plain[0] if len(plain) == 1 else next(iter(arms))


def called(results: dict[str, Any], arm: str) -> str:
    """Return the name of the reference, and what it is, where its name alone does not say so."""
    if _undefended(results["arms"][arm]):
        return f"{arm}, the undefended arm"
    named = (results.get("report") or {}).get("baseline")
    return f"{arm}, the {'baseline' if arm == named else 'first arm'}"


def listed(names: Iterable[str], last: str = "and") -> str:
    """a, b and c"""
    *others, end = names
    return f"{', '.join(others)} {last} {end}" if others else end


def told(quantity: Quantity, figure: Figure) -> str:
    """A figure with its interval: 4.2 % [3.9, 4.6]."""
    cell = quantity.printed(figure, figure["num_models"])
    unit = f" {quantity.unit}" if quantity.unit else ""
    return f"{cell.mean}{unit} {cell.interval}"


def by(quantity: Quantity, apart: Interval) -> str:
    """The size of a difference whose interval leaves 0 out: 2.4 points [1.0, 3.8].

    So many digits that the end next to 0 is not printed as 0.
    """
    low, high = sorted(abs(end) * quantity.scale for end in (apart.low, apart.high))
    digits = quantity.digits
    while digits < 9 and float(f"{low:.{digits}f}") == 0:
        digits += 1
    size = f"{abs(apart.mean) * quantity.scale:.{digits}f}{_points(quantity)}"
    return f"{size} [{low:.{digits}f}, {high:.{digits}f}]"


def signed(quantity: Quantity, apart: Interval) -> str:
    """A difference that may go either way: -0.3 points [-1.0, 0.4]."""
    ends = (apart.mean, apart.low, apart.high)
    mean, low, high = (f"{end * quantity.scale:z.{quantity.digits}f}" for end in ends)  # z: no -0
    return f"{mean}{_points(quantity)} [{low}, {high}]"


def _points(quantity: Quantity) -> str:
    return " points" if quantity.unit == "%" else f" {quantity.unit}" if quantity.unit else ""


def _undefended(arm: dict[str, Any]) -> bool:
    return arm["defense"].partition("(")[0] == "erm"
