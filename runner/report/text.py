"""A figure as text. What was not measured prints as a dash."""

import math
from typing import NamedTuple

from runner.report.readings import Figure, finite, measured

DASH = "–"
DAGGER = "†"  # beside a robust accuracy that is overstated


class Printed(NamedTuple):
    """A figure as text: `mean` and `interval`, and `models` where it is not the row's number."""

    mean: str
    interval: str = ""
    models: str = ""

    @property
    def overstated(self) -> bool:
        return self.mean.endswith(DAGGER)

    def __str__(self) -> str:
        return " ".join(part for part in self if part)


def printed(
    figure: Figure | None, scale: float, digits: int, num_models: int, overstated: bool = False
) -> Printed:
    """Return a figure as text; its number of models only where it is not `num_models`."""
    if not measured(figure):
        return Printed(DASH)
    mean, low, high = (_number(figure.get(key), scale, digits) for key in ("mean", "low", "high"))
    models = figure["num_models"]
    told = "" if models == num_models else f"({models} {'model' if models == 1 else 'models'})"
    return Printed(mean + (DAGGER if overstated else ""), f"[{low}, {high}]", told)


def significant(value: float | None, digits: int) -> str:
    """1159283.65 -> 1,159,000 with four digits; in powers of ten beyond 0.0001 to 10 million."""
    if value is None or math.isnan(value):
        return DASH
    if not finite(value):
        return "unbounded"
    scientific = f"{value:.{digits - 1}e}"
    if value == 0:
        return "0"
    if not 1e-4 <= abs(float(scientific)) <= 1e7:
        return scientific
    places = max(digits - 1 - int(scientific.partition("e")[2]), 0)
    return f"{float(scientific):,.{places}f}"


def bound(figure: Figure | None) -> Printed:
    """Return a lower bound of epsilon with three significant digits: 0.00360, 1.31."""
    if not measured(figure):
        return Printed(DASH)
    mean, low, high = (significant(figure.get(key), 3) for key in ("mean", "low", "high"))
    return Printed(mean, f"[{low}, {high}]")


def in_full(delta: float | None) -> str:
    """0.00001, never in powers of ten."""
    return DASH if delta is None else f"{delta:.12f}".rstrip("0").rstrip(".")


def percent(rate: float) -> str:
    """0.001 -> 0.1 %, never in powers of ten."""
    return f"{100 * rate:.10f}".rstrip("0").rstrip(".") + " %"


def rate_title(at: float) -> str:
    """0.001 -> TPR at 0.1 % FPR."""
    return f"TPR at {percent(at)} FPR" if at else "TPR at 0 false positives"


def _number(value: float | None, scale: float, digits: int) -> str:
    if not finite(value):
        return DASH
    text = f"{scale * value:.{digits}f}"
    return text.lstrip("-") if float(text) == 0 else text
