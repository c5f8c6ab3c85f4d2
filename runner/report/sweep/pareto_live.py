"""Leakage against accuracy as the page of a sweep draws it: a point a setting, read off by name."""

from typing import Any

from matplotlib.colors import to_hex

from runner.report import live
from runner.report.live import Live
from runner.report.quantities import Quantity
from runner.report.readings import ends
from runner.report.sweep.look import BASE, FRESH, STOPPED, Look, bases, look_of
from runner.report.sweep.readings import (
    Three,
    Trial,
    axis_names,
    best_of,
    most_models,
    quantities,
    read,
    told,
    trials,
)

HINT = "Point at a setting, or use the arrow keys, to read it off. Lower right is better"
MOST_SERIES = 12  # values that are switched one by one; of more, all settings are one series


def pareto_live(results: dict[str, Any]) -> Live | None:
    """Return a panel of leakage against each accuracy; None where nothing was measured."""
    shown, some = quantities(results), trials(results)
    look, names = look_of(results, some), _names(results, some)
    panels = [
        panel
        for key in ("robust", "natural")
        if key in shown and (panel := _panel(results, shown[key], shown["leakage"], look, names))
    ]
    if not panels:
        return None
    every = [*names, BASE, FRESH]
    series = [live.series(f"setting:{name}", name, i) for i, name in enumerate(every)]
    for trial in some:
        own = series[every.index(_name(results, trial, names))]
        own |= {"color": to_hex(look.of(trial)["color"]), "marker": "o"} if len(names) > 1 else {}
    ink = {"color": "var(--ink)", "hollow": False}
    series[-2] |= {**ink, "marker": "s"}
    series[-1] |= {**ink, "marker": "D"}
    return {"name": "Leakage against accuracy", "series": series, "panels": panels}


def _panel(
    results: dict[str, Any], x: Quantity, y: Quantity, look: Look, names: list[str]
) -> Live | None:
    """One panel; the front is a staircase behind the points."""
    most, points = most_models(results), []

    def point(figures: Three | None, of: int, name: str, **look: Any) -> None:
        across, up = read(figures, x), read(figures, y)
        if across and up:
            at = {"x": live.shorts(ends(across, x.scale)), "y": live.shorts(ends(up, y.scale))}
            points.append({"of": of, "name": name, "look": look, **at})

    some = trials(results)
    for trial in some:
        full = {} if trial.num_models == most else {"hollow": True, "opacity": STOPPED + 0.2}
        marked = look.of(trial)
        own = {"color": to_hex(marked["color"]), "marker": marked["marker"], **full}
        text = f"{told(results, trial.labels) or trial.id}, {trial.num_models} models"
        point(trial.figures, names.index(_name(results, trial, names)), text, **own)
    if not points:
        return None
    for base in bases(some, most):
        point(base, len(names), BASE)
    chosen = results["recommended"] or {}
    point(chosen.get("fresh"), len(names) + 1, FRESH)
    left, right = min(p["x"][1] for p in points), max(p["x"][2] for p in points)
    low, high = min(p["y"][1] for p in points), max(p["y"][2] for p in points)
    room, above = max(0.08 * (right - left), 0.5), 0.08 * (high - low)
    return {
        "name": x.header,
        "hint": HINT,
        "x": live.axis(x.header, max(left - room, 0), right + room),
        "y": live.axis(y.header, max(low - above, 0), high + above),
        "guides": [
            {"y": live.short(y.guess), "name": "a guess"},
            {"path": _front([t for t in some if t.on_front], x, y), "name": "the front"},
        ],
        "points": points,
    }


def _front(front: list[Trial], x: Quantity, y: Quantity) -> list[list[float]]:
    """The corners of the staircase through the settings that none beats in the two quantities."""
    at = {
        trial.id: (ends(across, x.scale)[0], ends(up, y.scale)[0])
        for trial in front
        if (across := read(trial.figures, x)) and (up := read(trial.figures, y))
    }
    best = best_of([trial for trial in front if trial.id in at], lambda trial: at[trial.id])
    corners: list[list[float]] = []
    for trial in best:
        accuracy, leakage = at[trial.id]
        if corners:
            corners.append([corners[-1][0], live.short(leakage)])
        corners.append([live.short(accuracy), live.short(leakage)])
    return corners


def _names(results: dict[str, Any], some: list[Trial]) -> list[str]:
    """The values that settings are switched by: of the axis that colours tell apart."""
    colored = look_of(results, some).colored
    axis = axis_names(results).get(colored or "")
    values = list(dict.fromkeys(f"{axis} {t.labels[colored]}" for t in some if colored))
    return values if 0 < len(values) <= MOST_SERIES else ["settings"]


def _name(results: dict[str, Any], trial: Trial, names: list[str]) -> str:
    """The one of them that a setting has."""
    colored = look_of(results, trials(results)).colored
    if not colored or len(names) == 1:
        return names[0]
    return f"{axis_names(results)[colored]} {trial.labels[colored]}"
