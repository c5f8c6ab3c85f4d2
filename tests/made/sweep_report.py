"""Sweeps as sweep.json has them, made by hand, for the tests of their report."""

from typing import Any

WEIGHT, BASE = "arms.demem.defense.weight", "arms.demem.defense.base"


Three = dict[str, Any]


def three(natural: float, robust: float | None, leakage: float, num_models: int) -> Three:
    """Figures whose intervals reach 0.01 to either side."""
    found = {"natural": natural, "robust": robust, "leakage": leakage}
    return {
        key: None
        if mean is None
        else {"mean": mean, "low": mean - 0.01, "high": mean + 0.01, "num_models": num_models}
        for key, mean in found.items()
    }


def trial(
    place: int,
    setting: dict[str, Any],
    figures: tuple[float, float | None, float] | None,
    **facts: Any,
) -> dict:
    """A setting that reached 16 models; none where it has no figures."""
    base = three(0.8, 0.36, 0.2, 16)
    return {
        "id": f"t{place}",
        "setting": setting,
        "labels": {axis: str(value) for axis, value in setting.items()},
        "state": "finished",
        "why": "",
        "num_models": 16 if figures else 0,
        "by_rung": {"16": {**three(*figures, 16), "base": base}} if figures else {},
        "figures": {},
        "on_front": bool(figures),
        "meets_constraint": bool(figures),
        **facts,
    }


def sweep(trials: list[dict], axes: list[str]) -> dict[str, Any]:
    return {
        "sweep": "weights",
        "description": "What it is.",
        "arm": "demem",
        "base": "pgd_at",
        "axes": axes,
        "search": {"name": "grid", "num_trials": None, "at_once": 4, "seed": 0},
        "rungs": [8, 16],
        "objectives": {
            "robustness": "pgd20",
            "membership": "lira_online",
            "false_positive_rate": 0.001,
        },
        "trials": trials,
        "recommended": None,
        "recommended_why": "no setting meets the constraint",
        "runs": {"trained": 64, "reused": 16},
        "warnings": [],
        "versions": {"torch": "2.11.0"},
        "git_commit": "0123456789ab",
    }


def by_weight() -> dict[str, Any]:
    """Four weights that were measured, one of them by 8 models alone, and one that failed."""
    figures = [(0.8, 0.36, 0.2), (0.79, 0.34, 0.1), (0.78, 0.35, 0.15), (0.7, 0.3, 0.12)]
    weights = (0.0, 0.4, 0.2, 1.0)
    trials = [
        trial(i, {WEIGHT: w}, f) for i, (w, f) in enumerate(zip(weights, figures, strict=True))
    ]
    at_8 = {"8": {**three(*figures[3], 8), "base": three(0.8, 0.36, 0.2, 8)}}
    trials[3] |= {"state": "stopped", "why": "worse than t1", "num_models": 8, "by_rung": at_8}
    trials[3] |= {"on_front": False}
    trials.append(trial(4, {WEIGHT: 10.0}, None, state="failed", why="loss is NaN"))
    return sweep(trials, [WEIGHT])


def with_a_choice() -> dict[str, Any]:
    """The same, with t1 recommended: it leaks 10 % by its own models and 15 % by fresh ones."""
    results = by_weight()
    facts = {key: results["trials"][1][key] for key in ("id", "setting", "labels")}
    afresh = {"fresh": three(0.79, 0.33, 0.15, 32), "fresh_base": three(0.8, 0.36, 0.21, 32)}
    before = {"flattered": three(0.79, 0.34, 0.1, 16), "flattered_base": three(0.8, 0.36, 0.2, 16)}
    results["recommended"] = {**facts, **afresh, **before, "seed": 1, "num_models": 32}
    results["recommended_why"] = "the least leakage within 2 points"
    return results


def axes_of(figure: Any) -> list[Any]:
    """What a figure holds; the colour bar is the last."""
    assert figure is not None
    return figure.axes
