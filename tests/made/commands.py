"""Commands of the runner in the test's own process."""

from typer.testing import CliRunner

from runner.__main__ import app


def invoke(*arguments: str) -> tuple[int, str]:
    """The exit code and everything printed of one command, in this process."""
    result = CliRunner().invoke(app, list(arguments))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output
