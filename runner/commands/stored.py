"""Commands on what a storage has: list, compare and export."""

from pathlib import Path
from typing import Annotated

import typer

from runner.commands.common import Storage, storage_at
from runner.driver.exits import Output, complaints


def list_stored(
    storage: Storage = None,
    as_json: Annotated[bool, typer.Option("--json", help="for programs")] = False,
) -> None:
    """Say what a storage has, a line each: kind, state, size, when, and the headline figure."""
    with complaints():
        from runner.driver.listing import list_all

        list_all(storage_at(storage), as_json, Output())


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

        compare_all(named, storage_at(storage), out, Output())


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
        print(f"exported: {export_run(run, storage_at(storage), to, experiment)}")
