import functools
import pathlib
from collections.abc import Callable
from typing import Any

import pytest

from runner.report import write_report
from tests.made.report import noisy_results, small_results

Draw = Callable[[dict[str, Any]], Any]


@pytest.fixture
def results() -> dict[str, Any]:
    return small_results()


@pytest.fixture
def noisy() -> dict[str, Any]:
    return noisy_results()


@pytest.fixture(scope="module")
def drawn_small() -> Callable[[Draw], Any]:
    """Draws `small_results` with a function, once; a test may read the figure, not change it."""
    return functools.cache(lambda draw: draw(small_results()))


@pytest.fixture(scope="module")
def drawn_noisy() -> Callable[[Draw], Any]:
    """The same of `noisy_results`."""
    return functools.cache(lambda draw: draw(noisy_results()))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The folder of the report of `small_results`, written once; a test may read it."""
    folder = tmp_path_factory.mktemp("report")
    write_report(small_results(), folder)
    return folder
