"""Why what is stored is not used, and something is made again."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from runner.code.record import code_facts
from runner.plan.plan import Run
from runner.plan.work import Work
from runner.storage import store
from runner.storage.cloud import Folder

RECIPE = "run.json"  # of a Run: `runner.train.train` writes it
MOST_TOLD = 4  # differences of one arm
MOST_APART = 3  # differences at which a stored model of no known experiment still says something
MOST_READ = 3  # recipes of such models
TOLD = {"weights_version": "WEIGHTS_VERSION", "code": "", "member": "who is trained on what"}


class Before:
    """What the experiment of this name was when it was last started."""

    def __init__(self, work: Work) -> None:
        self.work, self.told = work, _json(work.folder / store.DESCRIBED)

    def of_arms(self) -> dict[str, str]:
        """Return of each arm with models to train how they differ from stored ones, if any do."""
        found = {}
        for name, runs in self.work.plan.arms.items():
            todo = next((run for run in runs if not (self._at(run.id) / store.DONE).exists()), None)
            if todo and (why := self._why(name, todo)):
                found[name] = why
        return found

    def of_stage(self, *stages: str, keys: tuple[str, ...]) -> str:
        """Return what changed of that which decides answers, robustness or scores.

        Args:
            stages: of `Work.code`.
            keys: dotted, of the experiment's YAML.
        """
        if not self.told:
            return ""
        asked = self.work.experiment.model_dump(mode="json")
        before, now = (
            {"code": _of(code, stages)} | {key: _at(asked_of, key) for key in keys}
            for code, asked_of in (
                (self.told.get("code", {}), self.told.get("experiment", {})),
                (code_facts(self.work.code), asked),
            )
        )
        return in_words(before, now)

    def _why(self, arm: str, run: Run) -> str:
        """How a Run differs from that of the last start, or from the nearest one stored."""
        recipe = json.loads(json.dumps(run.recipe()))
        ids = self.told.get("runs", {}).get(arm, [])
        last = ids[run.number] if run.number < len(ids) else run.id
        if last != run.id and (before := _json(self._at(last) / RECIPE)):
            return in_words(before, recipe)
        stored = [recipe_ for folder in self._alike(run) if (recipe_ := _json(folder / RECIPE))]
        near = min(stored, key=lambda each: len([*differences(each, recipe)]), default=None)
        if near is None or len([*differences(near, recipe)]) > MOST_APART:
            return ""
        return in_words(near, recipe)

    def _alike(self, run: Run) -> list[Folder]:
        """The latest stored Runs of the same defense and row; a cloud would list all its keys."""
        runs = self._at("")
        if not isinstance(runs, Path) or not runs.is_dir():
            return []
        found = runs.glob(f"{run.defense.name}-m{run.number:03d}-{8 * '?'}/{store.DONE}")
        return [done.parent for done in sorted(found, key=_age, reverse=True)[:MOST_READ]]

    def _at(self, run_id: str) -> Folder:
        return self.work.store.run(run_id)


def differences(before: Any, now: Any, at: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield each key whose value is another one, dotted, with both values; None: there is none."""
    if {type(before), type(now)} in ({dict}, {dict, type(None)}):
        before, now = before or {}, now or {}
        for key in dict.fromkeys((*before, *now)):
            yield from differences(before.get(key), now.get(key), f"{at}\0{key}" if at else key)
    elif before != now:
        yield at, before, now


def in_words(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Return what differs between two recipes, for people: `training.lr 0.1 -> 0.05`."""
    every = [_in_words(*each) for each in differences(before, now)]
    more = len(every) - MOST_TOLD
    return "; ".join([*every[:MOST_TOLD], *([f"and {more} more"] if more > 0 else [])])


def _in_words(at: str, before: Any, now: Any) -> str:
    first, _, rest = at.partition("\0")
    told = TOLD.get(first, first)
    name = ".".join(part for part in (told, *rest.split("\0")) if part)
    if first == "code" or _is_digest(before) or _is_digest(now):
        how = "edited or added" if before is None else "as shipped again, or not in use"
        return f"{name} {how if None in (before, now) else 'changed'}"
    return f"{name} {_value(before)} -> {_value(now)}"


def _value(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _is_digest(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 64 and not value.strip("0123456789abcdef")


def _at(data: Any, dotted: str) -> Any:
    for key in dotted.split("."):
        data = data.get(key) if isinstance(data, Mapping) else None
    return data


def _of(code: Mapping[str, Any], stages: tuple[str, ...]) -> dict[str, str]:
    """The digests of several stages together."""
    return {e["name"]: e["digest"] for e in code.get("deciding", ()) if e["stage"] in stages}


def _json(path: Folder) -> dict[str, Any]:
    """What a file of JSON says, {} where there is none that can be read."""
    try:
        found = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _age(path: Path) -> float:
    return path.stat().st_mtime
