"""One setting, measured: a client of the lanes, which train its models beside everyone else's."""

import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import ray
from ray import tune

from attacks import origin
from runner import pipeline
from runner.driver.repair import MadeElsewhere, Tell, set_aside_broken, until_sound
from runner.experiment import config
from runner.experiment.experiment import Experiment
from runner.experiment.sweep import Objectives
from runner.faults import Unfinished
from runner.fleet.queue import Outcome, Task
from runner.plan.work import Work, made_ready
from runner.storage import store
from runner.storage.cloud import Folder
from runner.storage.store import Store
from runner.sweep.pareto import OBJECTIVES
from runner.sweep.results import objectives_of
from runner.sweep.settings import id_of, with_setting

POLL_S = 0.3


class Sweeping(NamedTuple):
    """What every trial of a sweep is given."""

    data: dict[str, Any]  # the YAML
    experiment: Experiment  # made from it
    objectives: Objectives  # every name filled in
    storage: Folder
    folder: Folder  # of the sweep
    queue: Any  # the lanes', a Ray actor
    board: Any  # likewise
    dataset: Any  # an object of Ray


def trial(config: Mapping[str, Any], sweeping: Sweeping) -> None:
    """Take one setting from rung to rung; Tune calls it. It holds no CPU.

    Every report repeats the first rung's figures: all settings have those, and they are what a
    search may compare, as the leakage that LiRA finds grows with the models.
    """
    setting, board = config["setting"], sweeping.board
    sweep = sweeping.experiment.sweep
    assert sweep is not None
    first: dict[str, float] = {}
    try:
        for rung in sweep.rungs:
            record = _at_rung(sweeping, setting, rung)
            first = first or {key: record[key]["mean"] for key in OBJECTIVES if record[key]}
            tune.report({**first, "num_models": rung})
            ray.get(board.hand_in.remote(id_of(setting), rung, record))
            while (verdict := ray.get(board.verdict.remote(id_of(setting), rung))) is None:
                time.sleep(POLL_S)
            if verdict:
                return
    except (Exception, SystemExit) as error:  # the latter of a user's own file
        # The others go on without it, and its reason stands in the results.
        why = reason(error, sweeping.folder / "trials" / id_of(setting))
        ray.get(board.fail.remote(id_of(setting), why))


def reason(error: BaseException, folder: Folder) -> str:
    """Return why a setting was not measured; an error in a user's file leaves its traceback."""
    if not origin.lines(error):
        return f"{type(error).__name__}: {error}"
    kept = store.keep_traceback(folder, origin.trace(error))
    return "; ".join(filter(None, [origin.told(error), kept]))


def _at_rung(sweeping: Sweeping, setting: Mapping[str, Any], rung: int) -> dict[str, Any]:
    """What a setting shows with so many models: what the board takes in."""
    data = with_setting(sweeping.data, sweeping.experiment, dict(setting), rung)
    # Not once more for each setting; the recommended one is checked.
    data["robustness"] = {**(data.get("robustness") or {}), "sanity": {"num_models": 0}}
    folder = store.trial_at(sweeping.folder, id_of(dict(setting)), rung)
    experiment = config.validate(data, Experiment, "this setting")
    dataset: Any = ray.get(sweeping.dataset)
    work = made_ready(experiment, Store(sweeping.storage), dataset, folder)
    sweeping.board.ask.remote(id_of(dict(setting)), rung)
    return measured(work, sweeping, sweeping.board.note.remote)


def measured(work: Work, sweeping: Sweeping, tell: Tell) -> dict[str, Any]:
    """Do what is missing of an experiment, by the lanes, and return what is compared of it.

    Args:
        tell: is given notes, as `until_sound` has them.

    Returns:
        The three objectives of the sweep's arm, `base` with those of the base arm or None, and
        `warnings`.

    Raises:
        Unfinished: Runs failed, or files were corrupt again and again.
        OSError: the storage is full, or did not come back.
    """
    sweep = sweeping.experiment.sweep
    assert sweep is not None
    ray.get(sweeping.board.use.remote([run.id for run in work.plan.runs]))
    results = until_sound(partial(_shared_results, work, sweeping, tell), work.store, tell)
    arms = results["arms"]
    base = objectives_of(arms[sweep.base], sweeping.objectives) if sweep.base else None
    return {
        **objectives_of(arms[sweep.arm], sweeping.objectives),
        "base": base,
        "warnings": results["warnings"],
    }


def _shared_results(work: Work, sweeping: Sweeping, tell: Tell) -> dict[str, Any]:
    """The experiment's results, though other trials that share Runs may set some aside."""
    try:
        return _results(work, sweeping, tell)
    except (FileNotFoundError, TypeError) as error:
        if work.pending or store.facts(work.scores) is None:
            raise MadeElsewhere from error
        raise


def _results(work: Work, sweeping: Sweeping, tell: Tell) -> dict[str, Any]:
    """The experiment's results, once its Runs are done and its scores are there."""
    set_aside_broken(work.finished, tell)
    pending = work.pending
    trained = sum(not work.is_trained(run) for run in pending)
    tasks = [pipeline.task_of(work, run) for run in pending]
    if tasks and (failed := _left_undone(sweeping.queue, tasks)):
        run_id, reason = min(failed.items())  # not the first to fail, which is chance
        raise Unfinished(f"{len(failed)} of {len(pending)} models failed, as {run_id}: {reason}")
    pipeline.score(work, in_ray=False)
    reused = len(work.plan.runs) - trained
    return pipeline.results_of(work, {"trained": trained, "reused": reused})


def _left_undone(queue: Any, tasks: Sequence[Task]) -> dict[str, str]:
    """Wait until the lanes have ended the tasks; the reasons of those that failed."""
    tickets = ray.get(queue.add.remote(tasks))
    while True:
        outcome: Outcome = ray.get(queue.outcome.remote(tickets))
        if not outcome.left:
            return outcome.failed
        time.sleep(POLL_S)
