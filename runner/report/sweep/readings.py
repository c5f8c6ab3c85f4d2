"""What is known of a sweep's settings: their values by axis, and what was measured of them."""

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any, NamedTuple

from runner.report.quantities import QUANTITIES, Quantity, tpr
from runner.report.readings import Figure, finite, measured

Three = dict[str, Any]  # natural, robust and leakage: a Figure each; robust may be None


class Trial(NamedTuple):
    """A setting that was measured, by the most models that it reached."""

    id: str
    setting: dict[str, Any]
    labels: dict[str, str]
    num_models: int
    figures: Three
    base: Three | None
    on_front: bool


def quantities(results: dict[str, Any]) -> dict[str, Quantity]:
    """Return what was measured of every setting, by its key; robust only where it is looked for."""
    sought = results["objectives"]
    found = {"natural": QUANTITIES["natural_accuracy"]}
    if attack := sought.get("robustness"):
        robust = QUANTITIES["robust_accuracy"]
        found["robust"] = robust._replace(title=f"{robust.title} under {attack}")
    attack, at = sought["membership"], sought.get("false_positive_rate")
    leakage = QUANTITIES["auc"] if at is None else tpr(at)
    found["leakage"] = leakage._replace(title=f"{attack}: {leakage.title}")
    return {key: quantity._replace(key=key) for key, quantity in found.items()}


def read(three: Three | None, quantity: Quantity) -> Figure | None:
    """Return the figure of a setting or a base; None where it was not measured."""
    found = (three or {}).get(quantity.key)
    return found if measured(found) else None


def trials(results: dict[str, Any]) -> list[Trial]:
    """Return the settings that were measured, in the order of the sweep."""
    found = []
    for trial in results["trials"]:
        if rungs := {int(at): figures for at, figures in (trial.get("by_rung") or {}).items()}:
            num_models = max(rungs)
            figures, base = rungs[num_models], rungs[num_models].get("base")
            labels, front = trial["labels"], bool(trial["on_front"])
            one = (trial["id"], trial["setting"], labels, num_models, figures, base, front)
            found.append(Trial(*one))
    return found


def most_models(results: dict[str, Any]) -> int:
    """Return the highest rung that any setting reached; 0 where none was measured."""
    return max((trial.num_models for trial in trials(results)), default=0)


def axis_names(results: dict[str, Any]) -> dict[str, str]:
    """Return a short name of each axis: the last parts of its dotted key that no other has."""
    parts = {axis: axis.split(".") for axis in results["axes"]}
    found = {}
    for axis, own in parts.items():
        tails = [other for key, other in parts.items() if key != axis]
        num = next(
            (n for n in range(1, len(own)) if all(t[-n:] != own[-n:] for t in tails)), len(own)
        )
        found[axis] = ".".join(own[-num:])
    return found


def varied(results: dict[str, Any]) -> list[str]:
    """Return the axes on which the measured settings differ, in order."""
    labels = [trial.labels for trial in trials(results)]
    return [axis for axis in results["axes"] if len({one.get(axis) for one in labels}) > 1]


def number(value: Any) -> float | None:
    """0.2 -> 0.2; "8/255", as radii are written -> 8 / 255; None for what is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(Fraction(value)) if isinstance(value, str) else float(value)
    except (ValueError, ZeroDivisionError, OverflowError):
        return None


def numeric(results: dict[str, Any], axis: str) -> bool:
    """Whether every measured setting has a number on this axis."""
    return all(finite(number(trial.setting.get(axis))) for trial in trials(results))


def values(results: dict[str, Any], axis: str) -> dict[float, str]:
    """Return the numbers of a numeric axis, rising, and how each is written."""
    found = {number(trial.setting[axis]): trial.labels[axis] for trial in trials(results)}
    return dict(sorted((value, label) for value, label in found.items() if value is not None))


def told(results: dict[str, Any], labels: dict[str, str], apart: str = ", ") -> str:
    """Return a setting in words: weight 0.2, base trades."""
    names = axis_names(results)
    return apart.join(f"{names[axis]} {labels[axis]}" for axis in results["axes"] if axis in labels)


def overlap(one: Figure, other: Figure) -> bool | None:
    """Whether two intervals share a value; None where an end of one is not known."""
    ends = [figure.get(key) for figure in (one, other) for key in ("low", "high")]
    if not all(map(finite, ends)):
        return None
    return max(one["low"], other["low"]) <= min(one["high"], other["high"])


def best_of(points: list[Trial], worth: Callable[[Trial], tuple[float, float]]) -> list[Trial]:
    """Return the trials that none beats in accuracy and leakage, rising in both.

    Args:
        worth: reads (accuracy, leakage) of a trial.
    """
    found, least = [], math.inf
    for trial in sorted(points, key=lambda one: (-worth(one)[0], worth(one)[1])):
        if worth(trial)[1] < least:
            found.append(trial)
            least = worth(trial)[1]
    return found[::-1]
