"""Shipped configurations, done in the test's own process."""

import csv
from pathlib import Path
from typing import Any

from rich.console import Console

from runner import pipeline
from runner.experiment import Experiment
from runner.work import prepare
from tests.conftest import do_here


def done(experiment: Experiment, storage: Path) -> dict[str, Any]:
    """Do everything in this process; report as `run` does."""
    return pipeline.run(do_here(prepare(experiment, storage)), Console(quiet=True))


def cells(storage: Path, name: str) -> set[tuple[str, str, str]]:
    """(arm, draws, metric) of every line of table.csv."""
    path = storage / "experiments" / name / "report" / "table.csv"
    with path.open() as file:
        return {(row["arm"], row["draws"], row["metric"]) for row in csv.DictReader(file)}
