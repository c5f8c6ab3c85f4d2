"""What commands have in common: their options, what is read by them, what is shown."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from runner.experiment import config
from runner.storage.cloud import Folder, folder_at
from runner.storage.store import page_at

if TYPE_CHECKING:
    from runner.experiment.experiment import Experiment


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


def read(
    config_path: str, overrides: list[str] | None
) -> tuple[dict[str, Any], "Experiment", str, config.Lines]:
    """The YAML with its overrides, the experiment made from it, what faults call it, and lines."""
    from runner.experiment.experiment import Experiment

    path = config.locate(config_path)
    data, experiment, lines = config.valid(path, overrides or [], Experiment)
    return data, experiment, str(path), lines


def storage_at(storage: str | None) -> Folder:
    if storage:
        return folder_at(storage)
    if os.environ.get("RAY_JOB_ID") or os.environ.get("RAY_JOB_CONFIG_JSON_ENV_VAR"):
        return Path.home() / "runner-results"
    return folder_at("results")


def show(results: dict[str, Any], folder: Folder, console: Console) -> None:
    """Print the table, the warnings, and where the report is."""
    from runner.driver.progress import say
    from runner.report.terminal import shown

    table, lines = shown(results)
    console.print(table)
    for line in lines:
        say(console, line)
    say(console, f"report: {page_at(folder)}")
