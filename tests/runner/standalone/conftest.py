"""Searches that take no time."""

import pytest

from runner.standalone import rademacher_search


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """One ascent a search: it still starts where the closed form is reached."""
    monkeypatch.setattr(rademacher_search, "NUM_STARTS", 1)
