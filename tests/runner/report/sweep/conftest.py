import pathlib
from typing import Any

import pytest

from runner.report.sweep.page import write_sweep_report
from tests.made.sweep_report import BASE, WEIGHT, by_weight, sweep, trial, with_a_choice


@pytest.fixture
def one_axis() -> dict[str, Any]:
    return by_weight()


@pytest.fixture
def chosen() -> dict[str, Any]:
    return with_a_choice()


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The folder of a report, written once; a test may read it."""
    folder = tmp_path_factory.mktemp("sweep")
    write_sweep_report(with_a_choice(), folder)
    return folder


@pytest.fixture
def two_bases() -> dict[str, Any]:
    """Two bases by three weights, that span 1000 times."""
    settings = [{BASE: base, WEIGHT: w} for base in ("pgd_at", "trades") for w in (0.1, 0.001, 1.0)]
    leakage = (0.2, 0.3, 0.1, 0.15, 0.25, 0.05)
    figures = [(0.8, 0.3 + at, at) for at in leakage]
    return sweep(
        [trial(i, s, f) for i, (s, f) in enumerate(zip(settings, figures, strict=True))],
        [BASE, WEIGHT],
    )
