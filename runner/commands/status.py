"""The command that says how far it is."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from runner.commands.common import Storage, storage_at
from runner.driver.exits import INTERRUPTED, Output, complaints
from runner.storage.cloud import Folder


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
            _say_status(names or [], storage_at(storage), watch, as_json, on_web, port, html)
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
