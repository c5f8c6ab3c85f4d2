"""Sweeps of a small experiment, and figures of their settings."""

import copy
from typing import Any

from runner.experiment.config import validate
from runner.experiment.experiment import Experiment
from runner.experiment.sweep import Sweep
from tests.conftest import TINY


def figures(natural: float, robust: float | None, leakage: float, half: float = 0.0) -> Any:
    """A setting whose intervals are all as wide."""

    def interval(mean: float) -> dict[str, float]:
        return {"mean": mean, "low": mean - half, "high": mean + half, "num_models": 8}

    return {
        "natural": interval(natural),
        "robust": None if robust is None else interval(robust),
        "leakage": interval(leakage),
    }


SWEPT = {
    **TINY,
    "design": {"name": "pairs", "num_models": 16},
    "membership": {"false_positive_rates": [0.1]},
    "memorization": {"arm": "erm", "false_positive_rate": 0.1},
    "report": {"baseline": "erm"},
    "sweep": {
        "arm": "pgd_at",
        "axes": {
            "arms.pgd_at.defense.attack.eps": {
                "values": [0.05, 0.2],
                "also": ["robustness.attacks.pgd2.eps"],
            },
            "training.epochs": [1, 2, 4],
        },
        "rungs": [6, 8],
        "objectives": {"false_positive_rate": 0.1},
    },
}


def swept(axes: dict[str, Any] | None = None, **rest: Any) -> tuple[dict[str, Any], Experiment]:
    """The YAML of SWEPT with other axes or other keys of the sweep, and the experiment."""
    data = copy.deepcopy(SWEPT)
    data["sweep"] |= ({"axes": axes} if axes else {}) | rest
    return data, validate(data, Experiment, "swept.yaml")


def sweep_of(axes: dict[str, Any], **search: Any) -> Sweep:
    """A sweep of an arm `x` over these axes: a grid, or another search."""
    return Sweep.model_validate({"arm": "x", "axes": axes, "search": search or {"name": "grid"}})


BASE = figures(0.9, 0.6, 0.3)
