"""Search the settings of one arm: Tune asks, the lanes train, a board compares them, and the one
that is recommended is measured once more."""

from collections.abc import Mapping
from typing import Any

import ray
from rich.console import Console

from attacks.wording import counted
from runner.cluster import connect
from runner.driver.driver import Driver
from runner.driver.exits import KEPT
from runner.driver.progress import Show, say
from runner.driver.repair import at_work, until_sound
from runner.experiment import config
from runner.experiment.experiment import Experiment
from runner.experiment.sweep import Sweep, num_asked
from runner.faults import Unfinished
from runner.fleet import fleet
from runner.fleet.preflight import ready
from runner.forecast.disk import checkpoint_bytes, disk_bytes
from runner.plan.work import Work, made_ready
from runner.report.blocks.events import events_in_short
from runner.report.sweep.page import write_sweep_report
from runner.report.sweep.terminal import terminal_tables
from runner.storage import store
from runner.storage.cloud import Folder, folder_at
from runner.storage.store import Store
from runner.sweep import recommend, results, settings
from runner.sweep.coming import Coming
from runner.sweep.objectives import check_rate, objectives_of
from runner.sweep.rungs import Board
from runner.sweep.search import SearchOutcome, search
from runner.sweep.trial import Sweeping, measured, reason

NOT_ALIKE = "the settings are attacked or asked differently, so none is better than another"


def sweep(
    data: dict[str, Any],
    experiment: Experiment,
    source: str,
    storage: Folder | str,
    console: Console,
) -> dict[str, Any]:
    """Search, recommend, write the results and their report; return what sweep.json holds.

    Args:
        data: the YAML with its overrides, from which `experiment` was made.
        source: its name, for faults.

    Raises:
        ConfigError: the sweep cannot be done as it is given; nothing was started.
        Unfinished: settings failed; what could be measured is written.
        StorageError, DataMissing, NoRoom, NoCluster: as of `run`.
    """
    settings.check(data, experiment, source)
    assert experiment.sweep is not None
    first = next(settings.to_try(experiment.sweep))
    smallest = settings.with_setting(data, experiment, first, experiment.sweep.rungs[0])
    at = Store(folder_at(storage))
    at.check_usable()
    work = made_ready(
        config.validate(smallest, Experiment, source), at, None, at.sweep(experiment.name)
    )
    settings.check(data, experiment, source, work.dataset)
    check_rate(work, objectives_of(experiment), source)
    at.check_writable()
    with at_work(work.store, work.folder, console) as driving:
        before = _trained(work.store)
        made = until_sound(
            lambda: _sweep(data, experiment, work, before, console, driving),
            work.store,
            driving.tell,
        )
        _stop_if_failed(made)
    return made


def _sweep(
    data: dict[str, Any],
    experiment: Experiment,
    work: Work,
    before: Mapping[str, int],
    console: Console,
    driving: Driver,
) -> dict[str, Any]:
    """The search and what follows it.

    Args:
        work: of any setting, for its data and its folder, the sweep's.
        before: what `_trained` said when the command began.
    """
    sweep = experiment.sweep
    assert sweep is not None
    total, objectives = num_asked(sweep), objectives_of(experiment)
    say(console, f"sweep of {counted(total, 'setting')} over {', '.join(sweep.axes)}; starting Ray")
    settled = ready(work, disk_bytes(work) * total, checkpoint_bytes(work), console)
    board: Any = (
        ray.remote(Board).options(**connect.beside_driver()).remote(sweep.rungs, total, sweep.alike)
    )
    driving.count_settings(total, [])
    driving.enter("search")
    coming = Coming(experiment)
    coming.search(ray.get(board.to_ask.remote()))
    with (
        Show(console, driving.saw) as show,
        fleet.open_fleet(
            work.dataset, settled, work.store, lambda state: show(coming.of(state))
        ) as queue,
    ):
        sweeping = Sweeping(
            data=data,
            experiment=experiment,
            objectives=objectives,
            storage=work.store.root,
            folder=work.folder,
            queue=queue,
            board=board,
            dataset=ray.put(work.dataset),
        )
        found = search(sweeping, driving, coming)
        trials = results.trials_of(sweep, *found, work.folder)
        chosen, why = recommend.recommended(trials) if sweep.alike else (None, NOT_ALIKE)
        coming.confirm(chosen is not None)
        driving.enter("confirmation")
        confirmed = _confirm(sweeping, work, chosen, driving)
        used = ray.get(board.used.remote())
    driving.enter("report")
    after = _trained(work.store)
    runs = {
        "trained": sum(run in after and after[run] != before.get(run) for run in used),
        "reused": sum(run in before and after.get(run) == before[run] for run in used),
    }
    made = results.sweep_results(
        experiment,
        objectives,
        trials,
        chosen=(confirmed, why),
        runs=runs,
        warnings=_warnings(sweep, found),
        folder=work.folder,
        events=driving.events,
    )
    _write(made, data, experiment, work.folder)
    _tell(made, work.folder, console)
    return made


def _confirm(
    sweeping: Sweeping, work: Work, chosen: Mapping[str, Any] | None, driving: Driver
) -> dict[str, Any] | None:
    """Measure the recommended setting with models of another seed: the best of many is flattered.

    Returns:
        What sweep.json says of it.
    """
    if chosen is None:
        return None
    setting, top, experiment = chosen["setting"], chosen["num_models"], sweeping.experiment
    made = recommend.fresh(sweeping.data, experiment, setting, top)
    driving.tell(f"the recommended setting once more, under seed {made['seed']}")
    valid = config.validate(made, Experiment, "recommended.yaml")
    again = made_ready(valid, work.store, work.dataset, work.folder / "confirmation")
    at = chosen["by_rung"][str(top)]
    told = {key: chosen[key] for key in ("id", "setting", "labels")}
    told |= {"flattered": results.three(at), "flattered_base": at["base"]}
    told |= {"fresh": None, "fresh_base": None, "seed": made["seed"], "num_models": top}
    try:
        record = measured(again, sweeping, driving.tell)
    except (Exception, SystemExit) as error:  # what the search found is written all the same
        driving.tell(f"it could not be measured: {reason(error, again.folder)}")
        return told
    fresh, base, sweep = results.three(record), record["base"], experiment.sweep
    assert sweep is not None
    passes = recommend.meets(sweep.constraint, fresh, base)
    return told | {"fresh": fresh, "fresh_base": base, "fresh_meets_constraint": passes}


def _write(
    made: Mapping[str, Any], data: dict[str, Any], experiment: Experiment, folder: Folder
) -> None:
    """Write everything that a person reads; sweep.json last."""
    chosen, sweep = made["recommended"], experiment.sweep
    assert sweep is not None
    path = folder / "recommended.yaml"
    if chosen:
        yaml = recommend.fresh(data, experiment, chosen["setting"], chosen["num_models"])
        store.write(path, recommend.as_yaml(yaml, sweep, chosen).encode())
    else:
        path.unlink(missing_ok=True)
    store.write(folder / "trials.csv", results.trials_csv(made).encode())
    results.write_hparams(made, folder / "tensorboard")
    write_sweep_report(dict(made), folder / store.REPORT)
    store.write_json(folder / store.SWEPT, made)


def _tell(made: dict[str, Any], folder: Folder, console: Console) -> None:
    """Print how it came out."""
    console.print(terminal_tables(made))
    for warning in made["warnings"]:
        say(console, f"warning: {warning}")
    if events := events_in_short(made):
        say(console, events)
    if made["recommended"]:
        say(console, f"recommended: {folder / 'recommended.yaml'}")
    say(console, f"report: {store.page_at(folder)}")


def _trained(at: Store) -> dict[str, int]:
    """When each Run of the storage was finished, in ns, by id."""
    return {path.parent.name: path.stat().st_mtime_ns for path in at.root.glob("runs/*/DONE")}


def _warnings(sweep: Sweep, found: SearchOutcome) -> list[str]:
    """What must be known of settings with the most models that each had, each text once."""
    told: dict[str, list[str]] = {}
    for each, by_rung in found.records.items():
        for text in by_rung[max(by_rung)]["warnings"] if by_rung else ():
            told.setdefault(text, []).append(settings.in_words(sweep, found.settings[each]))
    return sorted(
        f"{of[0] if len(of) == 1 else f'{len(of)} settings'}: {text}" for text, of in told.items()
    )


def _stop_if_failed(made: Mapping[str, Any]) -> None:
    failed = [trial for trial in made["trials"] if trial["state"] == "failed"]
    reasons = [f"  {', '.join(t['labels'].values())}: {t['why']}" for t in failed]
    if made["recommended"] and not made["recommended"]["fresh"]:
        reasons.append("  the recommended setting was not measured under a fresh seed")
    if reasons:
        raise Unfinished(
            f"{len(failed)} of {len(made['trials'])} settings failed:\n"
            + "\n".join(reasons)
            + f"\n{KEPT}"
        )
