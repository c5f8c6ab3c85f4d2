"""The command line: check, plan, run, report."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from runner import config
from runner.config import ConfigError
from runner.store import Corrupt, StorageError

app = typer.Typer(
    help="Train many defended models, ask them the same questions, and read privacy and robustness "
    "off one table.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

ConfigPath = Annotated[
    str, typer.Argument(metavar="CONFIG", help="a YAML file, or a shipped name such as quickstart")
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
    Path | None,
    typer.Option(
        help="folder for models, answers and reports, the same on every node "
        "(default: results; in a submitted job, whose folder is temporary: runner-results at home)"
    ),
]


@app.command()
def check(config_path: ConfigPath, overrides: Overrides = None) -> None:
    """Say everything that is wrong with a configuration, or that nothing is."""
    with complaints():
        experiment = _experiment(config_path, overrides)
        models = len(experiment.arms) * experiment.design.num_models
        print(f"{config_path}: no fault; {len(experiment.arms)} arms, {models} models")


@app.command()
def plan(config_path: ConfigPath, overrides: Overrides = None, storage: Storage = None) -> None:
    """Say what a run would do: models done and to do, time, disk, the smallest rate resolved."""
    with complaints():
        from runner.forecast import forecast
        from runner.pipeline import prepare

        work = prepare(_experiment(config_path, overrides), _storage(storage))
        print(forecast(work))


@app.command()
def run(config_path: ConfigPath, overrides: Overrides = None, storage: Storage = None) -> None:
    """Do what is missing: train, ask, audit, report. Safe to repeat after any stop."""
    with complaints():
        from runner import pipeline
        from runner.progress import say
        from runner.report.tables import terminal_table

        console = Console()
        experiment = _experiment(config_path, overrides)
        work = pipeline.prepare(experiment, _storage(storage))
        results = pipeline.run(work, console)
        console.print(terminal_table(results))
        for warning in results["warnings"]:
            say(console, f"warning: {warning}")
        console.print(
            f"report: {work.folder / 'report' / 'index.html'}", highlight=False, soft_wrap=True
        )


@app.command()
def report(config_path: ConfigPath, overrides: Overrides = None, storage: Storage = None) -> None:
    """Write the report again from what a finished run left; needs no Ray and trains nothing."""
    with complaints():
        from runner import pipeline

        work = pipeline.prepare(_experiment(config_path, overrides), _storage(storage))
        pipeline.report(work, {"trained": 0, "reused": len(work.plan.runs)})
        print(f"report: {work.folder / 'report' / 'index.html'}")


@contextmanager
def complaints() -> Iterator[None]:
    """Print what a user can mend as one message, without a traceback.

    Exit code 2: the input is wrong, and nothing was started. 1: something failed on the way, and
    what is finished is kept. 130: stopped by the user.
    """
    try:
        yield
    except KeyboardInterrupt:
        _stop("stopped; run the same command again to go on from here", 130)
    except (ConfigError, StorageError) as error:
        _stop(str(error), 2)
    except Corrupt as error:
        _stop(f"{error}; `run` sets it aside and makes it again", 2)
    except Exception as error:
        # By name, so that `check` need not wait for torch and Ray to be imported.
        if type(error).__name__ in ("DataMissing", "NoRoom", "NoCluster"):
            _stop(str(error), 2)
        if type(error).__name__ == "Unfinished":
            _stop(str(error), 1)
        raise


def _stop(message: str, code: int) -> None:
    print(f"runner: {message}", file=sys.stderr)
    sys.exit(code)


def _experiment(config_path: str, overrides: list[str] | None):
    from runner.experiment import Experiment

    return config.load(config.locate(config_path), overrides or [], Experiment)


def _storage(storage: Path | None) -> Path:
    if storage:
        return storage
    if os.environ.get("RAY_JOB_ID") or os.environ.get("RAY_JOB_CONFIG_JSON_ENV_VAR"):
        return Path.home() / "runner-results"
    return Path("results")


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
