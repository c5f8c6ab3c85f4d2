"""What a sweep leaves: one dict, which sweep.json holds and the report is written from; its CSV
and TensorBoard's HParams."""

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from runner.code.commit import git_commit
from runner.code.record import code_facts
from runner.driver.events import Event
from runner.experiment.experiment import Experiment
from runner.experiment.sweep import Objectives, Setting, Sweep
from runner.report.quantities import every_figure
from runner.report.sweep.came_out import came_out
from runner.report.text import csv_of
from runner.results.provenance import as_yaml, devices_of, made_by, without_hosts
from runner.results.versions import versions
from runner.storage import store
from runner.storage.cloud import Folder
from runner.sweep.pareto import OBJECTIVES, on_front, points
from runner.sweep.recommend import meets
from runner.sweep.rungs import Ended
from runner.sweep.settings import labels_of

Trial = dict[str, Any]  # one of `trials` in sweep.json


def trials_of(
    sweep: Sweep,
    settings: Mapping[str, Setting],
    records: Mapping[str, Mapping[int, Any]],
    ended: Mapping[str, Ended],
    folder: Folder,
) -> list[Trial]:
    """Return every setting with its figures, sorted by its values in the order of the axes.

    Args:
        settings: by id.
        records: by id and rung, what the board took in.
        folder: of the sweep.
    """
    found = []
    for each, setting in settings.items():
        rungs, end = records[each], ended[each]
        top = max(rungs, default=0)
        by_rung = {
            str(at): three(record) | {"base": record["base"]}
            for at, record in sorted(rungs.items())
        }
        figures = _every_figure(store.trial_at(folder, each, top), sweep.arm) if top else {}
        passes = bool(top) and meets(sweep.constraint, by_rung[str(top)], by_rung[str(top)]["base"])
        one = {"id": each, "setting": setting, "labels": labels_of(sweep, setting)}
        one |= {"state": end.state, "why": end.why, "num_models": top, "by_rung": by_rung}
        found.append(one | {"figures": figures, "on_front": False, "meets_constraint": passes})
    there = [trial for trial in found if trial["state"] == "finished"]
    for trial, front in zip(there, _front(there, sweep.rungs[-1]), strict=True):
        trial["on_front"] = front and sweep.alike
    return sorted(found, key=lambda trial: [_place(v) for v in trial["setting"].values()])


def sweep_results(
    experiment: Experiment,
    objectives: Objectives,
    trials: Sequence[Trial],
    chosen: tuple[Mapping[str, Any] | None, str],
    runs: Mapping[str, int],
    warnings: Sequence[str],
    events: Sequence[Event],
    folder: Folder,
) -> dict[str, Any]:
    """Return what sweep.json holds.

    Args:
        chosen: the recommended setting with its figures, and why.
        runs: how many models this command trained and reused.
        events: what went wrong on the way.
        folder: of the sweep.
    """
    sweep = experiment.sweep
    assert sweep is not None
    made = {
        "sweep": experiment.name,
        "description": experiment.description,
        "arm": sweep.arm,
        "base": sweep.base,
        "axes": [*sweep.axes],
        "search": sweep.search.model_dump(mode="json"),
        "rungs": [*sweep.rungs],
        "objectives": objectives.model_dump(mode="json"),
        "constraint": sweep.constraint.model_dump(mode="json"),
        "trials": [*trials],
        "recommended": chosen[0],
        "recommended_why": chosen[1],
        "runs": dict(runs),
        "events": without_hosts(events, folder),
        "warnings": [*warnings],
        "provenance": {
            **made_by(folder),
            **devices_of([]),
            "config": as_yaml(experiment.model_dump(mode="json")),
        },
        "versions": versions(),
        "git_commit": git_commit(),
        "code": code_facts(),
    }
    return {**made, "came_out": came_out(made)}


def trials_csv(results: Mapping[str, Any]) -> str:
    """Return a row for each setting, its figures those of the most models that it reached."""
    rows = [dict(_cells(results, trial)) for trial in results["trials"]]
    columns = list(dict.fromkeys(column for row in rows for column in row))
    return csv_of(columns, ([row.get(column) for column in columns] for row in rows))


def write_hparams(results: Mapping[str, Any], folder: Folder) -> None:
    """Write each setting and its figures for TensorBoard's HParams, anew every time."""
    from torch.utils.tensorboard import SummaryWriter

    with tempfile.TemporaryDirectory(prefix="hparams-") as aside:
        for trial in results["trials"]:
            if not trial["num_models"]:
                continue
            known = {
                key: value if isinstance(value, int | float) else trial["labels"][key]
                for key, value in trial["setting"].items()
            }
            told = known | {"num_models": trial["num_models"]}
            figures = trial["by_rung"][str(trial["num_models"])]
            measured = {key: figures[key]["mean"] for key in OBJECTIVES if figures[key]}
            with SummaryWriter(str(Path(aside, trial["id"]))) as writer:
                # Its own default is a folder named by the clock.
                writer.add_hparams(told, measured, run_name=".")
        store.remove(folder)
        store.write_folder(Path(aside), folder)


def objectives_of(arm: Mapping[str, Any], objectives: Objectives) -> dict[str, Any]:
    """Return an arm's three figures: of the mean over draws, where its models answer with noise.

    Whoever asks several times has that reading, attackers too: a search for what one draw shows
    would choose noise that averaging takes away again.
    """
    read = arm.get("averaged") or arm
    found = read["membership"][objectives.membership]
    rate = objectives.false_positive_rate
    robust = read["robust_accuracy"].get(objectives.robustness)
    return {
        "natural": _interval(read["natural_accuracy"]),
        "robust": _interval(robust) if robust else None,
        "leakage": _interval(found["auc"] if rate is None else found["tpr_at_fpr"][f"{rate:g}"]),
    }


def _interval(figure: Mapping[str, Any]) -> dict[str, Any]:
    return {key: figure[key] for key in ("mean", "low", "high", "num_models")}


def three(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the three objectives of what the board took in."""
    return {key: record[key] for key in OBJECTIVES}


def _every_figure(folder: Folder, arm: str) -> dict[str, Any]:
    """All figures of an arm, in the reading that the objectives are of."""
    results = json.loads((folder / store.RESULTS).read_bytes())
    found = results["arms"][arm]
    return dict(every_figure(found.get("averaged") or found))


def _front(there: Sequence[Trial], rung: int) -> list[bool]:
    if not there:
        return []
    at = points([trial["by_rung"][str(rung)] for trial in there])
    return [bool(front) for front in np.atleast_1d(on_front(at))]


def _place(value: Any) -> tuple[int, float, str]:
    """Where a value stands among others of its axis: numbers first, by size."""
    if isinstance(value, int | float):
        return 0, float(value), ""
    return 1, 0.0, json.dumps(value, sort_keys=True)


def _cells(results: Mapping[str, Any], trial: Trial) -> Iterator[tuple[str, Any]]:
    """One row of the CSV."""
    yield "id", trial["id"]
    yield from trial["labels"].items()
    for key in ("state", "why", "num_models", "on_front", "meets_constraint"):
        yield key, trial[key]
    figures = trial["by_rung"].get(str(trial["num_models"])) or {}
    found = {key: figures.get(key) for key in OBJECTIVES}
    found |= {f"base_{key}": (figures.get("base") or {}).get(key) for key in OBJECTIVES}
    for key, figure in (found | trial["figures"]).items():
        for end in ("mean", "low", "high") if figure else ():
            yield key if end == "mean" else f"{key}_{end}", figure[end]
