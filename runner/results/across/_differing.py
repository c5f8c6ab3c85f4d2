"""What differs between configurations, key by key."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from runner.results.across.stored import Stored

UNTOLD = {"name", "description", "sweep", "provenance"}  # that decide no figure
NOT_THERE = "not there"


def differing(stored: Sequence[Stored]) -> list[dict[str, Any]]:
    """Return the keys in which resolved YAMLs differ: `key`, and `values`, a text of each.

    Where one of them stored none, as of models trained elsewhere, what results.json says of all:
    data, design, attacks, averages, and each arm's recipe in a line.
    """
    configs = [one.config for one in stored]
    every = [config for config in configs if config is not None]
    told = every if len(every) == len(stored) else [_in_lines(one.results) for one in stored]
    found = {key: values for key, values in _apart(told, "") if key not in UNTOLD}
    shared = {values for key, values in found.items() if not key.startswith("arms.")}
    return [
        {"key": key, "values": [*values]}
        for key, values in found.items()
        if not (_of_every_arm(key) in found and values in shared)
    ]


def _of_every_arm(key: str) -> str:
    """The key of the whole experiment that an arm takes over: arms.erm.training.lr."""
    parts = key.split(".", 2)
    return parts[2] if parts[0] == "arms" and len(parts) == 3 else ""


def _apart(values: Sequence[Any], at: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each key below which values differ, as deep as all of them go."""
    if all(value == values[0] for value in values):
        return
    if all(isinstance(value, dict) for value in values):
        for key in dict.fromkeys(key for value in values for key in value):
            below = [value.get(key, NOT_THERE) for value in values]
            yield from _apart(below, f"{at}.{key}" if at else key)
    else:
        yield at, tuple(map(_told, values))


def _told(value: Any) -> str:
    """A value in short: what is named by its name."""
    if isinstance(value, dict):
        inside = value.get("defense", value)
        name = inside.get("name") if isinstance(inside, dict) else inside
        return f"{name}, ..." if name else "there" if value else "{}"
    return value if isinstance(value, str) else json.dumps(value)


def _in_lines(results: dict[str, Any]) -> dict[str, Any]:
    """What results.json says of how it was made."""
    kept = ("seed", "data", "design", "evaluation", "attacks", "selection", "averages")
    arms = {
        name: {key: arm.get(key) for key in ("defense", "recipe", "checkpoint")}
        for name, arm in results["arms"].items()
    }
    return {key: results.get(key) for key in kept} | {"arms": arms}
