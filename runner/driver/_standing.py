"""How an experiment, a sweep or an audit stands, read off the storage alone: no Ray, no torch."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from runner.driver import driver
from runner.driver._figures import FirstFigures
from runner.driver.exits import DONE as WELL
from runner.driver.exits import INTERRUPTED, TERMINATED
from runner.storage.cloud import Folder
from runner.storage.store import DESCRIBED, DONE, RESULTS, SWEPT, Store, page_at

ROOMS = {"experiment": "experiments", "sweep": "sweeps", "audit": "audits"}
WRITTEN = {"experiment": RESULTS, "sweep": SWEPT, "audit": RESULTS}
RUNNING, FINISHED, STOPPED, FAILED = "running", "finished", "stopped", "failed"
NOT_HEARD_OF, NOT_BEGUN = "not heard of", "not begun"
COUNTS = ("training", "search", "confirmation", "reading")  # stages that go by models
SILENT_S = 180.0  # a driver that was not heard of for so long is taken for lost


def names(at: Store) -> list[tuple[str, str]]:
    """Return (kind, name) of everything in the storage that was begun."""
    found = []
    for kind, room in ROOMS.items():
        written = (at.root / room).glob("*/*.json")
        found += [(kind, name) for name in sorted({path.parent.name for path in written})]
    return found


def standing(
    at: Store, kind: str, name: str, now: float, figures: FirstFigures | None = None
) -> dict[str, Any]:
    """Return how one of them stands, as plain values for `--json`.

    What is done is what has its DONE; what is in work and what failed is what the driver told.

    Args:
        now: UNIX time.
        figures: read those of what is done, too.
    """
    folder = at.root / ROOMS[kind] / name
    told = driver.read(folder / driver.FILE)
    alive = told is not None and _state(told, True, now) == RUNNING
    arms = _arms(at, folder, told, alive, figures) if kind == "experiment" else {}
    models = _total(arms) if arms else _of_queue(told, alive)
    there = (folder / WRITTEN[kind]).exists()
    report = page_at(folder)
    state = _state(told, there and (not arms or models["done"] == models["total"]), now)
    heard_s = driver.age_s(told, now) if told else None
    return {
        "kind": kind,
        "name": name,
        "state": state,
        "why": told["why"] if told else "",
        "stage": told["stage"] if told else "",
        "host": told["host"] if told else None,
        "pid": told["pid"] if told else None,
        "since": told["since"] if told else None,
        "at": told["at"] if told else None,
        "heard_s": heard_s,
        "models": models,
        "settings": told["settings"] if told else None,
        "remaining_s": left_s(told, now) if told and state == RUNNING else None,
        "arms": arms,
        "working": [*told["working"].values()] if alive and told else [],
        "failed": told["failed"] if told else {},
        "events": told["events"] if told else [],
        "folder": str(folder),
        "report": str(report) if report.exists() else None,
    }


def not_begun(name: str) -> dict[str, Any]:
    """Return how something stands of which the storage has nothing yet."""
    named = {"kind": "", "name": name, "state": NOT_BEGUN, "why": "", "stage": ""}
    nobody = ("host", "pid", "since", "at", "heard_s", "settings", "remaining_s", "report")
    nothing = {"models": {}, "arms": {}, "working": [], "failed": {}, "events": [], "folder": ""}
    return named | dict.fromkeys(nobody) | nothing


def left_s(told: dict[str, Any], now: float) -> float | None:
    """Return the seconds until the models are done, if the rest goes as what is done went.

    None: unknown. What follows the models is not in it. Where a sweep's driver knows nothing of
    models, since all are there or it is of an earlier version, its settings tell.
    """
    silent_s = driver.age_s(told, now)
    settings = told["settings"]
    if told["stage"] in COUNTS and told["remaining_s"]:
        left_s = told["remaining_s"]
    elif settings and 0 < settings["ended"] < settings["total"]:
        told_s = driver.age_s({"at": told["since"]}, now) - silent_s
        left_s = told_s * (settings["total"] - settings["ended"]) / settings["ended"]
    else:
        return None
    return max(0.0, left_s - silent_s)


def _state(told: dict[str, Any] | None, complete: bool, now: float) -> str:
    """What to call it; `complete` says that nothing is missing of the results."""
    if told is None:
        return FINISHED if complete else STOPPED
    if told["ended"] is None:
        return RUNNING if driver.age_s(told, now) < SILENT_S else NOT_HEARD_OF
    if told["ended"] == WELL:
        return FINISHED if complete else STOPPED
    return STOPPED if told["ended"] in (INTERRUPTED, TERMINATED) else FAILED


def _arms(
    at: Store,
    folder: Folder,
    told: dict[str, Any] | None,
    alive: bool,
    figures: FirstFigures | None,
) -> dict[str, Any]:
    """What is done, in work, failed and waiting of each arm of an experiment."""
    try:
        described = json.loads((folder / DESCRIBED).read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    runs, asked = described["runs"], described.get("asked", {})
    every = sorted({run for of_arm in runs.values() for run in of_arm})

    def done(run: str) -> bool:
        folders = [at.run(run), *(at.run(run) / each for each in asked.get(run, ()))]
        return all((each / DONE).exists() for each in folders)

    with ThreadPoolExecutor(16) as pool:  # each look may be a journey over the network
        is_done = dict(zip(every, pool.map(done, every), strict=True))
    working = {each["run"]: each for each in told["working"].values()} if alive and told else {}
    failed = told["failed"] if told else {}
    first = figures.of_arms(described, {r for r in every if is_done[r]}) if figures else {}
    return {
        arm: {
            "total": len(of_arm),
            "done": sum(is_done[run] for run in of_arm),
            "running": [working[r] for r in of_arm if r in working and not is_done[r]],
            "failed": {r: failed[r] for r in of_arm if r in failed and not is_done[r]},
            **({"figures": first[arm]} if figures else {}),
        }
        for arm, of_arm in runs.items()
    }


def _total(arms: dict[str, Any]) -> dict[str, int]:
    """The counts of all arms together; a model of two arms counts in each."""
    return {
        "total": sum(arm["total"] for arm in arms.values()),
        "done": sum(arm["done"] for arm in arms.values()),
        "running": sum(len(arm["running"]) for arm in arms.values()),
        "failed": sum(len(arm["failed"]) for arm in arms.values()),
    }


def _of_queue(told: dict[str, Any] | None, alive: bool) -> dict[str, int]:
    """What the driver's queue was asked for, where nothing else counts models."""
    if not told or not told["models"]:
        return {}
    queue = told["models"]
    return {key: queue[key] for key in ("total", "done", "failed")} | {
        "running": len(told["working"]) * alive,
        "to_come": queue.get("to_come", 0) * alive,
    }
