"""`runner status`: what is done, in work, failed and waiting, told from any terminal."""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.text import Text

from attacks import wording
from runner.driver import _standing
from runner.driver._figures import FirstFigures
from runner.driver._standing import FAILED, NOT_BEGUN, NOT_HEARD_OF, RUNNING, STOPPED
from runner.driver.lock import STALE_S
from runner.driver.named import name_of, not_there
from runner.driver.progress import SHOWN, duration, say
from runner.storage.cloud import Folder, folder_at
from runner.storage.store import StorageError, Store

NOT_WELL = {FAILED, STOPPED, NOT_HEARD_OF}
Keep = Callable[[Sequence[dict[str, Any]], bool], object]
FAILURES, EVENTS = 10, 5  # as many are shown; `--json` has all


def say_all(
    named: Sequence[str],
    storage: str | Folder,
    watch_s: float | None,
    as_json: bool,
    console: Console,
    keep: Keep | None = None,
) -> int:
    """Print how things stand and return the exit code: 1 if one that was named is not well.

    Args:
        named: configurations or names; none: one line for each thing in the storage.
        watch_s: seconds between two looks, until nothing runs or is still to begin; None: one look.
        keep: is given what each look found, with first figures, and whether there will be another.

    Raises:
        StorageError: the storage, or what was named, is not there.
        ConfigError: a configuration cannot be read.
    """
    at = Store(folder_at(storage))
    if not at.root.exists() and watch_s is None:
        raise StorageError(f"storage folder {at.root}: not there; name it with --storage FOLDER")
    names = [name_of(each) for each in named]
    figures = FirstFigures(at) if keep else None
    repaints = watch_s is not None and console.is_terminal and not as_json
    shown: dict[str, str] = {}
    with Live(console=console, auto_refresh=False) if repaints else nullcontext() as live:
        while True:
            found, now = look(at, names, watch_s is not None, figures), time.time()
            goes_on = watch_s and {each["state"] for each in found} & {RUNNING, NOT_BEGUN}
            if keep:
                keep(found, bool(goes_on))
            text = "\n".join(details(each, now) if names else line(each, now) for each in found)
            if as_json:
                print(json.dumps(found, indent=1 if watch_s is None else None), flush=True)
            elif live is not None:
                live.update(Text(text), refresh=True)
            elif watch_s is None:
                console.print(text, highlight=False, soft_wrap=True, markup=False)
            else:
                for each in found:
                    if shown.get(each["folder"]) != (change := counted(each)):
                        say(console, line(each, now))
                        shown[each["folder"]] = change
            if not watch_s or not goes_on:
                return int(bool(names) and any(each["state"] in NOT_WELL for each in found))
            time.sleep(watch_s)


def line(found: dict[str, Any], now: float) -> str:
    """Return how one thing stands in one line."""
    parts = [f"{found['kind']} {found['name']}: {counted(found)}"]
    return ", ".join(parts + [end(found, now)] * bool(end(found, now)))


def details(found: dict[str, Any], now: float) -> str:
    """Return all that there is to say of one thing."""
    return "\n".join([line(found, now), *(f"  {each}" for each in _details(found))])


def _details(found: dict[str, Any]) -> Iterator[str]:
    if found["host"]:
        yield f"driver: process {found['pid']} on {found['host']}, since {found['since']}"
    for name, arm in found["arms"].items():
        yield f"{name}: {models_line(arm, found['state'])}"
        for work in arm["running"][:SHOWN]:
            yield f"  {work['run']} {work['word']} ({work['part']:.0%})"
        if len(arm["running"]) > SHOWN:
            yield f"  {len(arm['running']) - SHOWN} more in work"
        for run, reason in [*arm["failed"].items()][:FAILURES]:
            yield f"  {run} failed: {reason}"
    if found["state"] in NOT_WELL and found["why"]:
        yield from found["why"].splitlines()
    yield from (f"{event['at']}: {event['text']}" for event in found["events"][-EVENTS:])
    if found["report"]:
        yield f"report: {found['report']}"


def counted(found: Mapping[str, Any]) -> str:
    """Return the state and the counts: what changes when something happened."""
    silent = found["state"] == RUNNING and found["heard_s"] > STALE_S
    parts = [
        f"{found['state']} ({found['stage']})" if found["state"] == RUNNING else found["state"]
    ]
    if silent or found["state"] == NOT_HEARD_OF:
        parts.append(f"its driver was last heard of {duration(found['heard_s'])} ago")
    if settings := found["settings"]:
        parts.append(f"{settings['ended']}/{wording.counted(settings['total'], 'setting')}")
    if found["models"]:
        parts.append(models_line(found["models"], found["state"]))
    return ", ".join(parts)


def models_line(counts: Mapping[str, Any], state: str) -> str:
    """Return how many models are done, in work, failed, and waiting."""
    sizes = {key: len(n) if isinstance(n, list | dict) else n for key, n in counts.items()}
    to_come = sizes.pop("to_come", 0)
    left = sizes["total"] - sizes["done"] - sizes["running"] - sizes["failed"]
    told = [f"{sizes['done']}/{wording.counted(sizes['total'], 'model')} done"]
    told += [f"{sizes['running']} in work"] * bool(sizes["running"])
    told += [f"{sizes['failed']} failed"] * bool(sizes["failed"])
    told += [f"{left} {'waiting' if state == RUNNING else 'to do'}"] * (left > 0)
    told += [f"about {to_come} more to come"] * bool(to_come)
    return ", ".join(told)


def end(found: Mapping[str, Any], now: float) -> str:
    """Return when the models will be done, or ""."""
    left_s = found["remaining_s"]
    if left_s is None:
        return ""
    at = time.strftime(
        "%H:%M" if left_s < 12 * 3600 else "%Y-%m-%d %H:%M", time.localtime(now + left_s)
    )
    return f"ends about {at} (in {duration(left_s)})"


def look(
    at: Store, names: Sequence[str], wait: bool, figures: FirstFigures | None = None
) -> list[dict[str, Any]]:
    """Return how everything stands, or whatever has one of these names.

    Args:
        wait: what is not there may still begin.
        figures: read first figures, too.

    Raises:
        StorageError: what was named is not there.
    """
    there = _standing.names(at)
    found = [
        _standing.standing(at, kind, name, time.time(), figures)
        for kind, name in there
        if not names or name in names
    ]
    missing = [name for name in names if name not in {each for _, each in there}]
    if missing and not wait:
        raise StorageError(not_there(at, missing[0], there))
    return found + [_standing.not_begun(name) for name in missing]
