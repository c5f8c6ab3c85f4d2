"""Why a setting was not measured."""

from pathlib import Path

import pytest

pytest.importorskip("ray", reason="machines that only train have no Ray")

from runner.faults import Unfinished
from runner.storage import store
from runner.sweep.trial import reason


def test_an_error_in_a_users_file_is_told_with_its_line_and_keeps_its_traceback(tmp_path: Path):
    path = tmp_path / "own_loss.py"
    path.write_text("def loss():\n    return {}['margin']\n")
    space: dict = {}
    exec(compile(path.read_text(), str(path), "exec"), space)
    with pytest.raises(KeyError) as caught:
        space["loss"]()
    kept = tmp_path / "trials" / "1f" / store.TRACEBACK
    told = reason(caught.value, kept.parent)
    assert told == f"KeyError: 'margin' (at {path}:2); the whole traceback: {kept}"
    assert "own_loss.py" in kept.read_text()


def test_any_other_reason_is_told_as_it_is_and_keeps_nothing(tmp_path: Path):
    assert reason(Unfinished("2 models failed"), tmp_path) == "Unfinished: 2 models failed"
    assert not list(tmp_path.iterdir())
