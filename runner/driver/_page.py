"""The page to watch, made of what `runner status` knows: the same counts, words and end."""

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from threading import Lock
from typing import Any

from runner.driver import status
from runner.driver._figures import FirstFigures, results_of
from runner.driver._standing import (
    FAILED,
    FINISHED,
    NOT_BEGUN,
    NOT_HEARD_OF,
    ROOMS,
    RUNNING,
    WRITTEN,
)
from runner.driver.lock import STALE_S
from runner.driver.progress import duration
from runner.report.sparkline import sparkline
from runner.report.text import Printed, printed
from runner.report.watch import main_table, watch_page
from runner.storage.store import DONE, TOPS, Store, check_there

TONES = {FINISHED: "pass", FAILED: "fail", NOT_HEARD_OF: "fail", RUNNING: ""}  # others: undecided
EVENTS, CURVES = 50, 64  # as many are shown; `--json` has all


class Watch:
    """Looks at a storage and keeps what it saw last, for when the storage is away.

    Several threads may ask; they share a look that is younger than a second.
    """

    def __init__(self, at: Store, names: Sequence[str], every_s: float) -> None:
        """
        Args:
            names: of experiments, sweeps and audits; none: all that the storage has.
            every_s: after which a page looks again.
        """
        self.at, self.names, self.every_s = at, names, every_s
        self._figures, self._lock = FirstFigures(at), Lock()
        self._found: list[dict[str, Any]] = []
        self._looked, self._trouble = float("-inf"), ""

    def page(self) -> str:
        """Return the page as things stand, or as they stood last."""
        with self._lock:
            if time.monotonic() - self._looked >= 1.0:
                self._look()
                self._looked = time.monotonic()
            return page(self._found, self.at, self.every_s, self._trouble)

    def _look(self) -> None:
        """Look, and remember what went wrong: the page stays, whatever it is."""
        try:
            if any(each["state"] != NOT_BEGUN for each in self._found):
                check_there(self.at.root / TOPS[0] / DONE)  # a share may be unmounted meanwhile
            found = status.look(self.at, self.names, True, self._figures)
            if len(found) == 1:  # read here: the page is made of what was seen, without a look
                found[0]["results"] = _results(found[0], self.at)
            self._found, self._trouble = found, ""
        except Exception as error:
            told = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
            self._trouble = self._trouble or (
                f"Since {_at(time.time())} the storage cannot be read ({told}). What stands below "
                "is the last that was seen."
            )


def page(found: Sequence[dict[str, Any]], at: Store, every_s: float, trouble: str = "") -> str:
    """Return the page of what was found.

    Args:
        every_s: after which it looks again; 0: it does not.
        trouble: why it may be old, or "".
    """
    now = time.time()
    things = [_thing(each, now, len(found) == 1, at) for each in found]
    title = things[0]["title"] if len(things) == 1 else "runner status"
    every = f"{every_s:g}" if every_s else 0
    told = {"title": title, "at": _at(now), "storage": str(at.root)}
    return watch_page(things, every_s=every, trouble=trouble, **told)


def _at(now: float) -> str:
    return f"{datetime.fromtimestamp(now).astimezone():%Y-%m-%d %H:%M:%S %Z}"


def _thing(found: Mapping[str, Any], now: float, alone: bool, at: Store) -> dict[str, Any]:
    """One experiment, sweep or audit as the page shows it."""
    state, models, settings = found["state"], found["models"], found["settings"]
    arms, failed = _arms(found), dict[str, str]()
    for arm in found["arms"].values():
        failed |= arm["failed"]
    many = models or settings or {}
    return {
        "title": " ".join(filter(None, (found["kind"], found["name"]))),
        "state": state,
        "tone": TONES.get(state, "undecided"),
        "told": _told(found, now),
        "gone": _gone(found),
        "why": found["why"].splitlines() if state not in (RUNNING, FINISHED) else [],
        "report": found["report"],
        "total": many.get("total", 0) + many.get("to_come", 0),
        "done": many.get("done", many.get("ended", 0)),
        "columns": _columns(found),
        "arms": arms,
        "settings": (settings or {}).get("asked", []),
        "working": _working(found),
        "more": max(0, len(found["working"]) - CURVES),
        "failed": [*(failed or found["failed"]).items()],
        "results": found["results"] if "results" in found else alone and _results(found, at),
        "events": found["events"][::-1][:EVENTS],
    }


def _told(found: Mapping[str, Any], now: float) -> list[str]:
    """What stands behind the state: the stage, counts, the end, and whose they are."""
    told = status.counted(found).split(", ")[1:]
    if found["state"] == RUNNING:
        told.insert(0, found["stage"])
    if end := status.end(found, now):
        told.append(end)
    if found["host"]:
        told.append(f"by process {found['pid']} on {found['host']} since {found['since']}")
    return told


def _gone(found: Mapping[str, Any]) -> str:
    """What to say of a driver that says nothing, or ""."""
    silent_s = found["heard_s"]
    if found["state"] not in (RUNNING, NOT_HEARD_OF) or silent_s is None or silent_s <= STALE_S:
        return ""
    return (
        f"Driver gone since {found['at']}: nothing was heard of it for {duration(silent_s)}. It "
        "was killed, lost with its machine, or cut off from the storage. The same command goes on "
        "from what is done."
    )


def _columns(found: Mapping[str, Any]) -> list[str]:
    """The names of all first figures, in their order."""
    every = [name for arm in found["arms"].values() for name in arm.get("figures", {})]
    return [*dict.fromkeys(every)]


def _arms(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    shown = []
    for name, arm in found["arms"].items():
        figures = arm.get("figures", {})
        cells = [_cell(figures.get(column)) for column in _columns(found)]
        told = status.models_line(arm, found["state"])
        sizes = {"total": arm["total"], "done": arm["done"]}
        shown.append({"name": name, "told": told, "cells": cells, **sizes})
    return shown


def _cell(figure: dict[str, Any] | None) -> Printed:
    """A mean in percent, the lowest and highest, and of how many models, always said."""
    cell = printed(figure, 100, 1, num_models=0)
    if not figure:
        return cell
    return cell._replace(mean=f"{cell.mean} %", interval=cell.interval[1:-1].replace(", ", " to "))


def _working(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The Runs in work with the arms that they are of, and how their loss went."""
    of: dict[str, list[str]] = {}
    for name, arm in found["arms"].items():
        for work in arm["running"]:
            of.setdefault(work["run"], []).append(name)
    shown = []
    for work in found["working"][:CURVES]:
        losses = work.get("losses", [])
        told = f"loss from {losses[0]:.3f} to {losses[-1]:.3f}" if losses else ""
        curve = sparkline(losses, work["part"], told)
        shown.append({**work, "arms": ", ".join(of.get(work["run"], [])), "curve": curve})
    return shown


def _results(found: Mapping[str, Any], at: Store) -> dict[str, Any] | None:
    """The report's main table, of what is finished and has one."""
    if found["state"] != FINISHED or found["kind"] not in ("experiment", "audit"):
        return None
    folder = at.root / ROOMS[found["kind"]] / found["name"]
    results = results_of(folder, WRITTEN[found["kind"]])
    try:
        return main_table(results) if results else None
    except (KeyError, TypeError, ValueError):  # of an earlier version
        return None
