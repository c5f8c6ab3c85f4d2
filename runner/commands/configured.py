"""Commands that take a configuration: check, plan, run and sweep."""

import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from attacks.wording import counted
from runner.commands.common import ConfigPath, Overrides, Storage, read, show, storage_at
from runner.driver.exits import Output, complaints

if TYPE_CHECKING:
    from collections.abc import Callable

    from runner.forecast.forecast import StepTimes
    from runner.forecast.named_cluster import NamedCluster
    from runner.plan.work import Work


def check(config_path: ConfigPath, overrides: Overrides = None) -> None:
    """Say everything that is wrong with a configuration, or that nothing is."""
    with complaints():
        data, experiment, source, lines = read(config_path, overrides)
        if experiment.sweep:
            from runner.sweep import settings

            settings.check(data, experiment, source)
        num_models = len(experiment.arms) * experiment.design.num_models
        sizes = f"{counted(len(experiment.arms), 'arm')}, {counted(num_models, 'model')}"
        told = [f"{config_path}: no fault; {sizes}"]
        from runner.forecast.rehearsal.rehearse import at_hand, rehearse_early

        dataset, note = at_hand(experiment.data)
        seen = set[str]()
        notes = rehearse_early(experiment, dataset, source, lines, seen) if dataset else []
        if experiment.sweep:
            from runner.experiment.sweep import num_asked
            from runner.sweep import settings

            settings.check(data, experiment, source, dataset, seen)
            told[0] += f"; a sweep of {counted(num_asked(experiment.sweep), 'setting')}"
        print("\n".join(told + [f"note: {each}" for each in (note, *notes) if each]))


def plan(
    config_path: ConfigPath,
    overrides: Overrides = None,
    storage: Storage = None,
    cluster: Annotated[
        str | None,
        typer.Option(help="estimate hours and cost on it: a YAML file, or a name like two_cores"),
    ] = None,
    measure: Annotated[
        bool,
        typer.Option(
            "--measure",
            help="what no finished model tells: try each step here on a few images, for a minute",
        ),
    ] = False,
) -> None:
    """Say what a run would do: models to train, time, disk, the smallest FPR it can show."""
    with complaints():
        from runner.forecast.named_cluster import read_cluster

        asked = read_cluster(cluster) if cluster else None
        work, notes, of_sweep = _planned(config_path, overrides, storage, asked)
        given = [part for override in overrides or [] for part in ("--set", override)]
        given += ["--storage", str(storage)] if storage else []
        from runner.forecast.forecast import forecast

        command = shlex.join(["runner", "run", config_path, *given])
        print(forecast(work, asked, command, measure, of_sweep))
        for note in notes:
            print(f"note: {note}")


def run(config_path: ConfigPath, overrides: Overrides = None, storage: Storage = None) -> None:
    """Do what is missing: train, ask, audit, report. Safe to repeat after any stop."""
    with complaints():
        console = Output()
        work, notes = _rehearsed(config_path, overrides, storage)
        from runner import pipeline
        from runner.driver.progress import say

        for note in notes:
            say(console, f"note: {note}")
        results = pipeline.run(work, console)
        show(results, work.folder, console)


def sweep(config_path: ConfigPath, overrides: Overrides = None, storage: Storage = None) -> None:
    """Search the settings that `sweep` names: who is accurate, robust and private at once."""
    with complaints():
        data, experiment, source, _ = read(config_path, overrides)
        from runner.sweep import settings

        settings.check(data, experiment, source)
        from runner.sweep import stage  # Ray takes seconds to import; faults come first

        stage.sweep(data, experiment, source, storage_at(storage), Output())


def _rehearsed(
    config_path: str, overrides: list[str] | None, storage: str | None
) -> tuple["Work", list[str]]:
    """The experiment ready to start, tried in small, and what could not be tried."""
    _, experiment, source, lines = read(config_path, overrides)
    from runner.forecast.rehearsal.rehearse import rehearse  # torch takes seconds: faults first
    from runner.plan.work import prepare

    notes: list[str] = []
    work = prepare(
        experiment,
        storage_at(storage),
        look=lambda work: notes.extend(rehearse(work, source, lines)),
    )
    return work, notes


def _planned(
    config_path: str,
    overrides: list[str] | None,
    storage: str | None,
    cluster: "NamedCluster | None",
) -> tuple["Work", list[str], "Callable[[StepTimes], list[str]]"]:
    """The same where nothing is downloaded, made or written, and who tells of a sweep."""
    data, experiment, source, lines = read(config_path, overrides)
    if experiment.sweep:
        from runner.sweep import settings

        settings.check(data, experiment, source)
    from runner.forecast.rehearsal.rehearse import rehearse, to_plan_on
    from runner.plan.work import to_plan

    dataset, note = to_plan_on(experiment.data)
    if note and experiment.memorization and experiment.memorization.file:  # of others than noise
        experiment = experiment.model_copy(update={"memorization": None})
    work = to_plan(experiment, storage_at(storage), dataset)
    notes = [*([note] if note else []), *rehearse(work, source, lines)]
    if not experiment.sweep:
        return work, notes, lambda times: []
    from runner.sweep import settings
    from runner.sweep.foretold import foretold
    from runner.sweep.objectives import check_rate, objectives_of

    settings.check(data, experiment, source, work.dataset)
    check_rate(work, objectives_of(experiment), source)
    return work, notes, lambda times: foretold(work, times, cluster)
