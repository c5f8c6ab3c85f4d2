"""A figure as text. What was not measured prints as a dash."""

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
