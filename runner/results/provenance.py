"""Where results come from: when, how long, on what, by which command and which configuration.

Commit, versions and digests of the code have keys of their own in results.json.
"""

import os
import platform
import re
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from runner.driver import driver
from runner.driver.events import Event, now
from runner.storage.cloud import Folder, discreet

# A path from the root, or from somebody's home, up to its last name. 8/255 is none.
ABOVE = re.compile(
    r"(?:file://|(?<![\w/:.~]))(?:~|/)[^\s,=\"'/]*/(?:[^\s,=\"'/]+/)*(?=[^\s,=\"'/])"
)
ADDRESS = re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b")
KEPT = ".../"  # stands for what lies above


def made_by(folder: Folder) -> dict[str, Any]:
    """Return when and on what results are written, by which command, and how long that took.

    The machine is told by its kind, its processors and its memory; never by its name or address.

    Args:
        folder: of the results, in which the driver tells of itself.
    """
    return {
        "date": now(),
        "duration_s": _duration_s(driver.read(folder / driver.FILE)),
        "command": without_places(discreet(sys.argv[1:])),
        "machine": {
            "system": platform.system(),
            "architecture": platform.machine(),
            "processors": os.cpu_count(),
            "memory_gib": _memory_gib(),
        },
    }


def devices_of(trained: Sequence[Mapping[str, Any] | None]) -> dict[str, Any]:
    """Return on what models were trained, how many on each, and how long that took all of them.

    Args:
        trained: what each Run's training left written.
    """
    known = [facts for facts in trained if facts]
    on = Counter(facts["device"] for facts in known if "device" in facts)
    return {
        "devices": [{"name": name, "num_models": n} for name, n in sorted(on.items())],
        "training_s": sum(facts.get("train_time_s", 0.0) for facts in known) if known else None,
    }


def as_yaml(config: Mapping[str, Any]) -> str:
    """Return a configuration as YAML, its paths as `without_places` has them; "" of none."""
    told = without_places(config)
    return yaml.safe_dump(told, sort_keys=False, allow_unicode=True) if told else ""


def without_places(value: Any) -> Any:
    """Return texts, also those in lists and dicts, with `...` for the folders that a path lies in.

    They may name whoever works there, or for whom. A path below the working folder is kept.
    """
    if isinstance(value, str):
        return _without_places(value)
    if isinstance(value, Mapping):
        return {key: without_places(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [without_places(each) for each in value]
    return value


def without_hosts(events: Sequence[Event], folder: Folder) -> list[Event]:
    """Return events with no machine's name or address in them; driver.json keeps them."""
    told = driver.read(folder / driver.FILE) or {}
    names = [re.escape(name) for name in {told.get("host"), platform.node()} if name]
    host = re.compile(rf"(?<![\w.-])(?:{'|'.join(names)})(?![\w-])") if names else None
    found = []
    for event in events:
        text = re.sub(r"(process \d+) on \S+, begun", r"\1, begun", event["text"])  # of an earlier
        text = ADDRESS.sub("a node", host.sub("a node", text) if host else text)
        found.append({**event, "text": without_places(text)})
    return found


def _without_places(text: str) -> str:
    """One text; a path that is somebody's home folder itself is `~`."""
    home = str(Path.home())
    if len(home) > 1:
        text = re.sub(rf"{re.escape(home)}(?![\w.-])", "~", text)
    return ABOVE.sub(KEPT, text)


def _duration_s(told: Mapping[str, Any] | None) -> float | None:
    """Seconds from the beginning of the last driver until it ended, or until now."""
    if told is None:
        return None
    until = told["at"] if told["ended"] is not None else now()
    began, ended = (datetime.fromisoformat(at) for at in (told["since"], until))
    return max(0.0, (ended - began).total_seconds())


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (ValueError, OSError, AttributeError):
        return None
