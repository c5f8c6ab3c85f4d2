"""The command line: its commands, each a function of `runner.commands`, as the help lists them."""

import io
import os
import sys
from typing import Annotated

import typer

from runner.commands import audit, budget, configured, demo, init, report, status, stored
from runner.driver.exits import INTERRUPTED, MEANINGS, TERMINATED

app = typer.Typer(
    help="Train many defended models, ask them the same questions, and read privacy and robustness "
    "off one table.",
    epilog="Exit codes: " + "; ".join(f"{code}: {meaning}" for code, meaning in MEANINGS.items()),
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},  # of every command below
    pretty_exceptions_enable=False,
)
for name, command in {
    "init": init.init,
    "check": configured.check,
    "plan": configured.plan,
    "run": configured.run,
    "sweep": configured.sweep,
    "report": report.report,
    "audit": audit.audit_answers,
    "status": status.say_status,
    "list": stored.list_stored,
    "compare": stored.compare,
    "export": stored.export,
}.items():
    app.command(name)(command)
app.add_typer(budget.app, name="budget")
app.add_typer(demo.app, name="demo")


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
