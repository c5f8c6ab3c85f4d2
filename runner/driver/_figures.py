"""First figures of models that are done: what their folders' DONE say, without opening a file."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from statistics import fmean
from typing import Any

from runner.storage.cloud import Folder
from runner.storage.store import DONE, Store

NATURAL, TRAIN = "natural accuracy", "train accuracy"


class FirstFigures:
    """Reads each DONE once: what is finished does not change."""

    def __init__(self, at: Store) -> None:
        self._at = at
        self._facts: dict[str, dict[str, Any]] = {}

    def of_arms(self, told: Mapping[str, Any], done: Collection[str]) -> dict[str, dict[str, Any]]:
        """Return by arm and figure the mean, lowest, highest and number of its models.

        Args:
            told: what experiment.json says.
            done: the Runs of which everything is done.
        """
        asked, experiment = told.get("asked", {}), told["experiment"]
        attacks = [*(experiment.get("robustness") or {}).get("attacks", {})]
        of_arm: dict[str, dict[str, dict[str, str]]] = {}  # by arm and Run, names by folder
        for arm, runs in told["runs"].items():
            best = experiment["arms"].get(arm, {}).get("checkpoint") == "best"
            of_arm[arm] = {
                run: dict(_places(asked.get(run, ()), attacks, best)) for run in runs if run in done
            }
        self._read({f"{run}/{at}" for runs in of_arm.values() for run in runs for at in runs[run]})
        return {arm: self._figures(runs) for arm, runs in of_arm.items()}

    def _read(self, folders: set[str]) -> None:
        new = sorted(folders - self._facts.keys())
        with ThreadPoolExecutor(16) as pool:  # each look may be a journey over the network
            for folder, facts in zip(new, pool.map(self._facts_of, new), strict=True):
                if facts:
                    self._facts[folder] = facts

    def _facts_of(self, folder: str) -> dict[str, Any]:
        try:
            return dict(json.loads((self._at.root / "runs" / folder / DONE).read_bytes())["facts"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return {}  # set aside this moment

    def _figures(self, runs: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
        found: dict[str, list[float]] = {}
        for run, places in runs.items():
            for place, name in places.items():
                facts = self._facts.get(f"{run}/{place}", {})
                value = facts.get("train_accuracy" if name == TRAIN else "accuracy")
                if isinstance(value, int | float):
                    found.setdefault(name, []).append(value)
        return {
            name: {"mean": fmean(v), "low": min(v), "high": max(v), "num_models": len(v)}
            for name, v in found.items()
        }


def _places(
    folders: Sequence[str], attacks: Sequence[str], best: bool
) -> Iterator[tuple[str, str]]:
    """Each folder of a model's answers with the name of its figure.

    They stand in the order of asking: answers, natural images, the experiment's attacks, and what
    only checks them, which is left out. Where two arms judge two epochs of a model, it is asked
    twice.
    """
    names = [TRAIN, NATURAL, *(f"robust accuracy, {attack}" for attack in attacks)]
    starts = [i for i, folder in enumerate(folders) if folder.startswith("answers/")]
    for start in starts:
        if len(starts) == 1 or folders[start].endswith("-best") == best:
            yield from zip(folders[start : start + len(names)], names, strict=False)


def results_of(folder: Folder, name: str) -> dict[str, Any] | None:
    """Return what a file of results holds; None where there is none that can be read."""
    try:
        found = json.loads((folder / name).read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return found if isinstance(found, dict) else None
