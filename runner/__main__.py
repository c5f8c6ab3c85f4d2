"""The command line: check, plan, run, sweep, audit, report, list, compare, status and others."""

import io
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from attacks.wording import counted
from runner.budget import command as budget
from runner.demos import command as demos
from runner.driver.exits import INTERRUPTED, MEANINGS, TERMINATED, Output, complaints
from runner.experiment import config
from runner.storage.cloud import Folder, folder_at
from runner.storage.store import page_at

if TYPE_CHECKING:
    from collections.abc import Callable

    from runner.experiment.experiment import Experiment
    from runner.forecast.forecast import StepTimes
    from runner.forecast.named_cluster import NamedCluster
    from runner.plan.work import Work

app = typer.Typer(
    help="Train many defended models, ask them the same questions, and read privacy and robustness "
    "off one table.",
    epilog="Exit codes: " + "; ".join(f"{code}: {meaning}" for code, meaning in MEANINGS.items()),
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},  # of every command below
    pretty_exceptions_enable=False,
)
app.add_typer(budget.app, name="budget")
app.add_typer(demos.app, name="demo")

ConfigPath = Annotated[
    str,
    typer.Argument(
        metavar="CONFIG",
        help="a YAML file, or a shipped name such as quickstart",
        autocompletion=config.begun,
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="override one dotted key, e.g. --set training.epochs=3; null removes it; repeatable",
    ),
]
Storage = Annotated[
    str | None,
    typer.Option(
        help="folder or s3://bucket/prefix for models, answers and reports, the same on every node "
        "(default: results; in a submitted job, whose folder is temporary: runner-results at home)"
    ),
]


def _say_version(asked: bool) -> None:
    if asked:
        from runner.code.commit import git_commit
        from runner.results.versions import own, versions

        commit = git_commit()
        print(f"runner {own()}" + (f", commit {commit}" if commit else ""))
        print(", ".join(f"{name} {version}" for name, version in versions().items()))
        raise typer.Exit


@app.callback()
def whole(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_say_version,
            is_eager=True,
            help="say which code this is, and end",
        ),
    ] = False,
) -> None:
    """Say what holds for every command: there is nothing but the version and the help."""


@app.command()
def init(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="the YAML to write, such as mine.yaml")
    ],
    data: Annotated[
        str,
        typer.Option(
            help="the kind of data: folder, parquet, table, npz (of yours), digits, cifar10, ..."
        ),
    ],
    root: Annotated[
        Path | None, typer.Option(help="their folder, or the file (default: data)")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="of the experiment and its folder (default: the file's)")
    ] = None,
    keys: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="data.KEY=VALUE",
            help="a key of the data, e.g. --set data.label=ill; repeatable",
        ),
    ] = None,
) -> None:
    """Write a first YAML for your data, each key with its reason, ready to check and run."""
    with complaints():
        from runner.experiment import first_yaml

        written = first_yaml.write(first_yaml.Asked(file, data, root, name, keys or ()))
        print(f"{written}: written; next: runner check {shlex.quote(str(written))}")


@app.command()
def check(config_path: ConfigPath, overrides: Overrides = None) -> None:
    """Say everything that is wrong with a configuration, or that nothing is."""
    with complaints():
        data, experiment, source, lines = _read(config_path, overrides)
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


@app.command()
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


@app.command()
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
        _show(results, work.folder, console)


@app.command()
def sweep(config_path: ConfigPath, overrides: Overrides = None, storage: Storage = None) -> None:
    """Search the settings that `sweep` names: who is accurate, robust and private at once."""
    with complaints():
        data, experiment, source, _ = _read(config_path, overrides)
        from runner.sweep import settings

        settings.check(data, experiment, source)
        from runner.sweep import stage  # Ray takes seconds to import; faults come first

        stage.sweep(data, experiment, source, _storage(storage), Output())


@app.command()
def report(
    config_path: Annotated[
        str,
        typer.Argument(
            metavar="CONFIG",
            help="a YAML file or a shipped name; with --public or --pdf also a name, or path",
        ),
    ],
    overrides: Overrides = None,
    storage: Storage = None,
    public: Annotated[
        bool,
        typer.Option(
            "--public",
            help="a page for outsiders, of what results.json has: by arm and class alone",
        ),
    ] = False,
    pdf: Annotated[
        bool, typer.Option("--pdf", help="also print it, in short, to report.pdf: by Chromium")
    ] = False,
) -> None:
    """Write the report again from what a finished run left; needs no Ray and trains nothing."""
    with complaints():
        from runner.report.pdf import find_browser, write_pdf

        browser = find_browser() if pdf else None
        if public:
            folder = _public(config_path, overrides, storage)
            if browser:
                print(f"in short: {write_pdf(folder, browser)}")
            return
        if browser and not _is_config(config_path):
            from runner.driver.named import report_of
            from runner.faults import UserFault

            if overrides:
                raise UserFault(
                    "report NAME --pdf: --set changes no page that is there; leave it out"
                )
            print(f"in short: {write_pdf(report_of(config_path, _storage(storage)), browser)}")
            return
        experiment = _experiment(config_path, overrides)
        from runner import pipeline
        from runner.plan.work import prepare
        from runner.storage import store

        work = prepare(experiment, _storage(storage))
        pipeline.report(work, {"trained": 0, "reused": len(work.plan.runs)})
        print(f"report: {page_at(work.folder)}")
        if browser:
            print(f"in short: {write_pdf(work.folder / store.REPORT, browser)}")


@app.command("audit")
def audit_answers(
    answers: Annotated[
        str | None, typer.Option(help="folder or URI with a .parquet or .npz file a model")
    ] = None,
    member: Annotated[
        str | None,
        typer.Option(help="file of M rows, N columns: 1 trained on it, 0 not, -1 not judged"),
    ] = None,
    tree: Annotated[
        str | None,
        typer.Option("--from", help="folder that another tool wrote, in place of --answers"),
    ] = None,
    labels: Annotated[
        str | None, typer.Option(help="of a tree that has none: file of N classes, from 0 on")
    ] = None,
    judged: Annotated[
        str | None, typer.Option(help="of a tree: file of the examples that are judged")
    ] = None,
    layout: Annotated[
        str | None, typer.Option("--as", help="of a tree that can be read in several ways: which")
    ] = None,
    only: Annotated[
        str | None, typer.Option(help="of a tree: read answers at this part of their place alone")
    ] = None,
    unverified: Annotated[
        bool, typer.Option("--unverified", help="judge a tree even though facts speak against it")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="of a tree: say what was understood, and stop")
    ] = False,
    name: Annotated[str | None, typer.Option(help="what the audit's folder is called")] = None,
    config_path: Annotated[
        Path | None, typer.Option("--config", help="YAML of the audit; docs/foreign_answers.md")
    ] = None,
    overrides: Overrides = None,
    storage: Storage = None,
    shadow_recipe: Annotated[
        str | None,
        typer.Option(help='whether models were trained alike: "same", or "differs: how"'),
    ] = None,
    in_ray: Annotated[
        bool, typer.Option("--ray/--no-ray", help="start Ray, or stay in this process")
    ] = True,
) -> None:
    """Audit models that were trained elsewhere, from their answers and who was trained on what."""
    with complaints():
        from runner.foreign.schema import read_audit

        console, told = Output(), {"name": name, "shadow_recipe": shadow_recipe}
        asked = read_audit(config_path, overrides or [], told)
        of_tree = (labels, judged, layout, only, unverified, dry_run)
        given = _given(answers, member, tree, any(of_tree))
        from runner.foreign.stage import audit_given, audit_tree
        from runner.foreign.trees.understood import Options

        at = _storage(storage)
        if given is not None:
            found = audit_given(*given, asked, at, in_ray, console)
        else:
            options = Options(labels, member, judged, layout, only, unverified)
            found = audit_tree(tree or "", options, asked, at, in_ray, console, dry_run)
        if found is not None:
            _show(*found, console)


def _given(
    answers: str | None, member: str | None, tree: str | None, of_tree: bool
) -> tuple[str, str] | None:
    """The answers and the matrix, or None of a tree; refused unless it is one of the two."""
    from runner.faults import BadAnswers

    way_out = "give --answers DIR and --member FILE, or --from TREE; docs/foreign_answers.md"
    if (answers is None) == (tree is None):
        why = "neither --answers nor --from" if tree is None else "--answers and --from are both"
        raise BadAnswers("runner audit", f"{why} given", way_out)
    if answers is None:
        return None
    if member is None:
        raise BadAnswers("--answers", "no --member is given", way_out)
    if of_tree:
        why = "--labels, --judged, --as, --only, --unverified and --dry-run are of --from"
        raise BadAnswers("--answers", why, way_out)
    return answers, member


@app.command("status")
def say_status(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[CONFIG or NAME]...", help="nothing: all that the storage has"),
    ] = None,
    storage: Storage = None,
    watch: Annotated[
        float | None,
        typer.Option(min=0.1, metavar="SECONDS", help="again and again, until nothing runs"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="for programs")] = False,
    on_web: Annotated[
        bool,
        typer.Option(
            "--web",
            help="a page that looks again by itself, on this machine alone, at an address that "
            "nobody can guess; Ctrl-C ends it",
        ),
    ] = False,
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="of --web (default: one that is free)"),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="write the page there, too; with --watch again and again"
        ),
    ] = None,
) -> None:
    """Say what is done, running and failed, and when it will end; needs no Ray.

    Exit code 1: something that was named failed, was stopped, or was not heard of.
    """
    with complaints():
        try:
            _say_status(names or [], _storage(storage), watch, as_json, on_web, port, html)
        except KeyboardInterrupt:  # how one leaves it: nothing was stopped but the looking
            sys.exit(INTERRUPTED)


def _say_status(
    names: list[str],
    storage: Folder,
    watch: float | None,
    as_json: bool,
    on_web: bool,
    port: int | None,
    html: Path | None,
) -> None:
    """Say it, or show the page."""
    if on_web and (as_json or html):
        raise typer.BadParameter("--web goes with neither --json nor --html")
    if port and not on_web:
        raise typer.BadParameter("--port is that of --web, which is not asked for")
    from runner.driver import status

    if not (on_web or html):
        sys.exit(status.say_all(names, storage, watch, as_json, Output()))
    from runner.driver import web  # it renders templates: who only asks does not wait for that

    if on_web:
        web.show(names, storage, watch, port or 0, lambda at: print(f"{at} (Ctrl-C ends it)"))
        return
    assert html is not None
    keep = web.keeper(html, storage, watch)
    sys.exit(status.say_all(names, storage, watch, as_json, Output(), keep))


@app.command("list")
def list_stored(
    storage: Storage = None,
    as_json: Annotated[bool, typer.Option("--json", help="for programs")] = False,
) -> None:
    """Say what a storage has, a line each: kind, state, size, when, and the headline figure."""
    with complaints():
        from runner.driver.listing import list_all

        list_all(_storage(storage), as_json, Output())


@app.command()
def compare(
    named: Annotated[
        list[str],
        typer.Argument(
            metavar="EXPERIMENT...",
            help="two or more: names in the storage, or folders, also of other storages "
            "(results/experiments/NAME)",
        ),
    ],
    storage: Storage = None,
    out: Annotated[
        str | None,
        typer.Option(metavar="FOLDER", help="write a page there too, and its CSV and JSON"),
    ] = None,
) -> None:
    """Set finished experiments, sweeps and audits beside each other, each against the first."""
    with complaints():
        from runner.results.across.compare import compare_all

        compare_all(named, _storage(storage), out, Output())


@app.command()
def export(
    run: Annotated[str, typer.Argument(metavar="RUN", help="a Run's id: a folder of runs/")],
    storage: Storage = None,
    experiment: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="whose figures are told, if several have the Run"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="a new folder (default: exported/RUN)")
    ] = None,
) -> None:
    """Write a trained model to hand on: safetensors, a model card, a CycloneDX ML-BOM."""
    with complaints():
        from runner.results.export import export as export_run

        to = out or Path("exported") / Path(run).name
        print(f"exported: {export_run(run, _storage(storage), to, experiment)}")


def _is_config(named: str) -> bool:
    """Whether it names a YAML; what only ends like one is to be complained of as one."""
    try:
        config.locate(named)
    except config.ConfigError:
        return named.endswith((".yaml", ".yml"))
    return True


def _public(named: str, overrides: list[str] | None, storage: str | None) -> Folder:
    """Write the page for outsiders of an experiment, an audit or a sweep's recommended setting.

    Returns:
        The folder that it is in.
    """
    from runner.driver.named import find, name_of
    from runner.faults import UserFault
    from runner.report.public import PUBLIC, write_public
    from runner.storage.store import REPORT, RESULTS, results_in

    if overrides:
        raise UserFault("report --public: --set changes no results that are there; leave it out")
    found = find(name_of(named), _storage(storage))
    results = results_in(found.folder / RESULTS)
    print(f"page for outsiders: {write_public(results, found.folder / REPORT)}")
    return found.folder / REPORT / PUBLIC


def _show(results: dict[str, Any], folder: Folder, console: Console) -> None:
    """Print the table, the warnings, and where the report is."""
    from runner.driver.progress import say
    from runner.report.terminal import shown

    table, lines = shown(results)
    console.print(table)
    for line in lines:
        say(console, line)
    say(console, f"report: {page_at(folder)}")


def _experiment(config_path: str, overrides: list[str] | None) -> "Experiment":
    return _read(config_path, overrides)[1]


def _read(
    config_path: str, overrides: list[str] | None
) -> tuple[dict[str, Any], "Experiment", str, config.Lines]:
    """The YAML with its overrides, the experiment made from it, what faults call it, and lines."""
    from runner.experiment.experiment import Experiment

    path = config.locate(config_path)
    data, experiment, lines = config.valid(path, overrides or [], Experiment)
    return data, experiment, str(path), lines


def _rehearsed(
    config_path: str, overrides: list[str] | None, storage: str | None
) -> tuple["Work", list[str]]:
    """The experiment ready to start, tried in small, and what could not be tried."""
    _, experiment, source, lines = _read(config_path, overrides)
    from runner.forecast.rehearsal.rehearse import rehearse  # torch takes seconds: faults first
    from runner.plan.work import prepare

    notes: list[str] = []
    work = prepare(
        experiment,
        _storage(storage),
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
    data, experiment, source, lines = _read(config_path, overrides)
    if experiment.sweep:
        from runner.sweep import settings

        settings.check(data, experiment, source)
    from runner.forecast.rehearsal.rehearse import rehearse, to_plan_on
    from runner.plan.work import to_plan

    dataset, note = to_plan_on(experiment.data)
    if note and experiment.memorization and experiment.memorization.file:  # of others than noise
        experiment = experiment.model_copy(update={"memorization": None})
    work = to_plan(experiment, _storage(storage), dataset)
    notes = [*([note] if note else []), *rehearse(work, source, lines)]
    if not experiment.sweep:
        return work, notes, lambda times: []
    from runner.sweep import settings
    from runner.sweep.foretold import foretold
    from runner.sweep.objectives import check_rate, objectives_of

    settings.check(data, experiment, source, work.dataset)
    check_rate(work, objectives_of(experiment), source)
    return work, notes, lambda times: foretold(work, times, cluster)


def _storage(storage: str | None) -> Folder:
    if storage:
        return folder_at(storage)
    if os.environ.get("RAY_JOB_ID") or os.environ.get("RAY_JOB_CONFIG_JSON_ENV_VAR"):
        return Path.home() / "runner-results"
    return folder_at("results")


def main() -> None:
    """Run the command line."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # a job's log is read while it is written
    try:
        app()
    except SystemExit as end:
        if end.code in (INTERRUPTED, TERMINATED):
            # Lanes may be at work: ending Ray under them could end in an exit code of theirs.
            sys.stdout.flush()
            os._exit(int(end.code))
        raise


if __name__ == "__main__":
    main()
