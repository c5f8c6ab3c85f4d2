"""`runner list`: what is in a storage, a line each, with the figure that one looks for first."""

import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console

from attacks.wording import counted
from runner.driver import _standing, driver
from runner.driver._standing import ROOMS, WRITTEN
from runner.report.quantities import QUANTITIES
from runner.report.readings import STRONGEST, attacks_of, measured, membership
from runner.report.text import percent
from runner.storage.cloud import Folder, folder_at
from runner.storage.store import DESCRIBED, StorageError, Store

HEADS = ("NAME", "KIND", "STATE", "ARMS x MODELS", "WHEN (UTC)", "HEADLINE")
KEYS = ("name", "kind", "state", "arms", "models", "when", "headline", "folder")


def list_all(storage: str | Folder, as_json: bool, console: Console) -> None:
    """Print what a storage has: experiments, then sweeps, then audits, each by its name.

    Raises:
        StorageError: the storage is not there.
    """
    at = Store(folder_at(storage))
    if not at.root.exists():
        raise StorageError(f"storage folder {at.root}: not there; name it with --storage FOLDER")
    found = [_listed(at, kind, name) for kind, name in _standing.names(at)]
    if as_json:
        print(json.dumps(found, indent=1))
    elif not found:
        console.print(f"{at.root} has nothing yet", highlight=False, soft_wrap=True, markup=False)
    else:
        rows = [HEADS, *(_cells(one) for one in found)]
        for line in _aligned(rows):
            console.print(line, highlight=False, soft_wrap=True, markup=False)


def _listed(at: Store, kind: str, name: str) -> dict[str, Any]:
    """One thing of the storage, as `--json` has it."""
    folder = at.root / ROOMS[kind] / name
    stood = _standing.standing(at, kind, name, time.time())
    found = dict.fromkeys(KEYS) | {"name": name, "kind": kind, "state": stood["state"]}
    found |= {"folder": str(folder), "headline": "", "when": _when(folder, kind)}
    found |= _planned(folder)
    try:
        results = json.loads((folder / WRITTEN[kind]).read_bytes())
        found |= _of_sweep(results) if kind == "sweep" else _of_arms(results)
    except FileNotFoundError:
        pass
    except (ValueError, KeyError, TypeError, AttributeError):
        found["headline"] = f"{WRITTEN[kind]} cannot be read"
    return found


def _planned(folder: Folder) -> dict[str, Any]:
    """Arms and models as they were planned, for what has no results yet."""
    try:
        runs = json.loads((folder / DESCRIBED).read_bytes())["runs"]
        return {"arms": len(runs), "models": max(map(len, runs.values()), default=0)}
    except (FileNotFoundError, ValueError, KeyError):
        return {}


def _when(folder: Folder, kind: str) -> str | None:
    """When its results were written; else when its driver was last heard of."""
    written = folder / WRITTEN[kind]
    if written.is_file():
        at = datetime.fromtimestamp(written.stat().st_mtime_ns / 1e9, UTC)
        return at.isoformat(timespec="seconds")
    told = driver.read(folder / driver.FILE)
    return told["at"] if told else None


def _of_arms(results: dict[str, Any]) -> dict[str, Any]:
    """What an experiment or an audit found: who leaks least and most, by the strongest attack."""
    arms, design = results["arms"], results.get("design") or {}
    told = (results.get("provenance") or {}).get("date")
    found = {"arms": len(arms), "models": design.get("num_models"), "headline": headline(results)}
    return found | ({"when": told} if told else {})


def headline(results: dict[str, Any]) -> str:
    """Return the figure that one looks for first: AUC of the strongest attack, least and most.

    With its interval and the arm that it is of, and the natural accuracy of the same arm.
    """
    attack = next(iter(attacks_of(results)), "")
    # Whoever may ask several times averages the noise of a randomized model away.
    read = {name: arm.get("averaged") or arm for name, arm in results["arms"].items()}
    aucs = {name: membership(arm, attack).get("auc") for name, arm in read.items()}
    known = {name: figure for name, figure in aucs.items() if measured(figure)}
    if not known:
        return "no membership figure"
    least = min(known, key=lambda name: known[name]["mean"])
    most = max(known, key=lambda name: known[name]["mean"])
    ends = [least] if least == most else [least, most]
    auc, accuracy = QUANTITIES["auc"], QUANTITIES["natural_accuracy"]
    told = []
    for name in ends:
        natural = read[name].get("natural_accuracy")
        right = f", {accuracy.printed(natural, 0).mean} % right" if measured(natural) else ""
        figure = auc.printed(known[name], known[name]["num_models"])
        told.append(f"{figure} ({name}{right})")
    which = "strongest attack" if attack == STRONGEST else attack
    return f"AUC of {which}: {' to '.join(told)}"


def _of_sweep(results: dict[str, Any]) -> dict[str, Any]:
    """What a sweep tried, and what it recommends."""
    trials, best = results["trials"], results["recommended"]
    found = {"arms": len(trials), "models": max(results["rungs"])}
    if not best:
        return found | {"headline": f"recommends nothing: {results['recommended_why']}"}
    setting = ", ".join(best["labels"].values())
    fresh = best.get("fresh") or best["flattered"]
    rate = results["objectives"].get("false_positive_rate")
    leak = QUANTITIES["auc"] if rate is None else QUANTITIES["tpr_at_fpr"]
    leakage = f"{leak.printed(fresh['leakage'], fresh['leakage']['num_models'])}"
    what = f"AUC {leakage}" if rate is None else f"TPR {leakage} % at {percent(rate)} FPR"
    right = QUANTITIES["natural_accuracy"].printed(fresh["natural"], 0).mean
    return found | {"headline": f"recommends {setting}: {what}, {right} % right"}


def _cells(one: dict[str, Any]) -> tuple[str, ...]:
    size = f"{one['arms']} x {one['models']}" if one["arms"] and one["models"] else "-"
    if one["kind"] == "sweep" and size != "-":
        size = f"{counted(one['arms'], 'setting')} x {one['models']}"
    when = (one["when"] or "-").replace("T", " ")[:16]
    return one["name"], one["kind"], one["state"], size, when, one["headline"] or "-"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines whose columns stand below each other."""
    wide = [max(map(len, column)) for column in zip(*rows, strict=True)]
    padded = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, wide, strict=True)) for row in rows
    )
    return [line.rstrip() for line in padded]
