"""Scores that are judged once for all tests."""

import pytest

from runner.audit.judge import Judging, judge
from runner.audit.judged import Judged, read_judged
from tests.made.judged import REAL, judging


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Judging:
    return judging(tmp_path_factory.mktemp("judged"))


@pytest.fixture(scope="module")
def found(made: Judging) -> Judged:
    return read_judged(judge(made, in_ray=False), REAL)
