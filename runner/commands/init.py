"""The command that writes a first YAML."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from runner.driver.exits import complaints


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
