"""What figures of the page are drawn from where scripts run: one shape for all of them.

A figure has panels, one of which is shown at a time: lines of curves, points with error bars,
guides. What is drawn is of a series, an arm or an attack, which is switched by its key. Numbers
have the three digits that are shown; those in percent are in percent here.
"""

from collections.abc import Iterable
from typing import Any

from runner.report import style
from runner.report.readings import ArmFigures, readings

DASHES = {"-": "", "--": "6 3", "-.": "7 3 1.5 3", ":": "1.5 3"}
PERCENT = " %"
Live = dict[str, Any]


def of_arms(results: dict[str, Any]) -> list[Live]:
    """Return a series a reading of an arm, in order."""
    return [_of_arm(reading) for reading in readings(results)]


def series(key: str, name: str, place: int, hollow: bool = False) -> Live:
    """Return how one arm, attack or setting looks; colours, dashes and marks go by its place.

    Args:
        key: what switches it; all of the page that have it are switched together.
    """
    return {
        "key": key,
        "name": name,
        "color": style.color(place),
        "dash": DASHES[style.line(place)],
        "marker": style.marker(place),
        "hollow": hollow,
    }


def arm_key(label: str) -> str:
    return f"arm:{label}"


def attack_key(name: str) -> str:
    return f"attack:{name}"


def axis(title: str, low: float, high: float, unit: str = "") -> Live:
    """Return an axis: its title, the ends that it has if nothing asks for others, its unit."""
    return {"title": title, "low": short(low), "high": short(high), "unit": unit}


def short(value: float) -> float:
    """0.0123456 -> 0.0123, the digits that are shown."""
    return float(f"{value:.3g}")


def shorts(values: Iterable[float], scale: float = 1) -> list[float]:
    return [short(scale * value) for value in values]


def _of_arm(reading: ArmFigures) -> Live:
    return series(arm_key(reading.label), reading.label, reading.place, reading.averaged)
