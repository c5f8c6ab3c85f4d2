"""Commands as users give them, in a process of their own or in this one, and what they leave."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from typer.testing import CliRunner

from runner.__main__ import app

HOUSE = Path(__file__).parents[2]


def written(folder: Path, config: Mapping[str, Any]) -> str:
    """The path of a YAML file in the folder that holds the configuration."""
    path = folder / "x.yaml"
    path.write_text(yaml.safe_dump(dict(config)))
    return str(path)


@contextmanager
def started(
    verb: str,
    folder: Path,
    config: Mapping[str, Any],
    *options: str,
    env: Mapping[str, str] | None = None,
    house: Path = HOUSE,
) -> Iterator[subprocess.Popen[str]]:
    """A command on a configuration, with its storage in the folder `storage` of a folder.

    It is killed if it has not ended when the context is left.

    Args:
        verb: `run` or `sweep`.
        options: what else stands on the line; of two storages the last one counts.
        env: None: this process's own, without what is said there of Ray.
        house: where the command is given, and so whose code runs.
    """
    words = [sys.executable, "-m", "runner", verb, written(folder, config)]
    with subprocess.Popen(
        [*words, "--storage", str(folder / "storage"), *options],
        cwd=house,
        env=without_ray() if env is None else env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def run(
    verb: str,
    folder: Path,
    config: Mapping[str, Any],
    *options: str,
    env: Mapping[str, str] | None = None,
) -> tuple[int, str]:
    """Give a command as `started` does; return its exit code and everything printed."""
    with started(verb, folder, config, *options, env=env) as process:
        out, _ = process.communicate(timeout=900)
        return process.returncode, out


def here(verb: str, folder: Path, config: Mapping[str, Any], *options: str) -> tuple[int, str]:
    """The same in this process, over the cluster that it has joined, if there is work for one."""
    words = [verb, written(folder, config), "--storage", str(folder / "storage"), *options]
    return invoke(*words)


def invoke(*arguments: str) -> tuple[int, str]:
    """The exit code and everything printed of one command, in this process."""
    result = CliRunner().invoke(app, list(arguments))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def without_ray() -> dict[str, str]:
    """This process's environment without what it says of Ray: a command starts its own cluster."""
    return {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}


def results(folder: Path, of: str = "experiments/tiny") -> dict[str, Any]:
    """results.json of an experiment in the folder's storage."""
    return json.loads((folder / "storage" / of / "results.json").read_text())


def figures(found: Mapping[str, Any]) -> dict[str, Any]:
    """Everything in results.json that is not about this one command or its seconds."""
    kept = json.loads(json.dumps({key: found[key] for key in ("arms", "null_control")}))
    for arm in kept["arms"].values():
        del arm["train_time_s"]
    return kept | {key: found[key] for key in ("data", "evaluation")}


def done(folder: Path) -> dict[Path, int]:
    """When each Run of the folder's storage was finished, in ns."""
    return {path: path.stat().st_mtime_ns for path in folder.glob("storage/runs/*/DONE")}


def wait_for(
    happened: Callable[[], object],
    process: subprocess.Popen[str] | None = None,
    within_s: float = 300.0,
) -> None:
    """Wait until something happened, while the process that does it lives."""
    end = time.monotonic() + within_s
    while not happened():
        assert process is None or process.poll() is None, process.communicate()[0]
        assert time.monotonic() < end, f"not within {within_s:.0f} s"
        time.sleep(0.05)
