"""Which lines an error is said to come from; a file below tmp_path stands for a user's own."""

import importlib.util
import json
import pickle
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from attacks import origin
from attacks.membership import log_odds
from runner.data import view

HOUSE = Path(__file__).parents[2]


def loaded(path: Path, text: str) -> ModuleType:
    """A module of a user's file that holds a text."""
    path.write_text(text)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def raised(module: ModuleType, *arguments: object) -> Exception:
    with pytest.raises(Exception) as caught:  # noqa: PT011  any kind
        module.go(*arguments)
    return caught.value


DEEP = """import torch

def go():
    return inner(torch.zeros(3))

def inner(x):
    return x @ torch.zeros(4)
"""


def test_the_line_is_the_users_though_torch_raised_it(tmp_path: Path):
    error = raised(loaded(tmp_path / "own_deep.py", DEEP))
    assert origin.lines(error) == [f"{tmp_path}/own_deep.py:7"]
    assert origin.told(error).startswith("RuntimeError: ")
    assert origin.told(error).endswith(f"(at {tmp_path}/own_deep.py:7)")


def test_files_that_are_ours_are_not_named(tmp_path: Path):
    told = "def go(of):\n    return of(None, 'odd')\n"
    calls = loaded(tmp_path / "own_calls.py", told)
    for ours in (view, log_odds):
        assert origin.lines(raised(calls, ours)) == [f"{tmp_path}/own_calls.py:2"]


def test_an_error_of_a_library_is_nobodys_file_and_says_where_it_was_raised():
    with pytest.raises(ValueError, match="Expecting") as caught:
        json.loads("{")
    assert origin.lines(caught.value) == []
    assert re.search(r"^JSONDecodeError: .* \(at decoder\.py:\d+\)$", origin.told(caught.value))


def test_a_syntax_error_is_where_it_is_and_not_where_the_file_is_imported(tmp_path: Path):
    with pytest.raises(SyntaxError) as caught:
        loaded(tmp_path / "own_syntax.py", "x = 1\n\ndef f(:\n    pass\n")
    assert origin.lines(caught.value) == [f"{tmp_path}/own_syntax.py:3"]
    assert "own_syntax.py, line" not in origin.told(caught.value)


def test_what_was_raised_goes_to_another_process_with_its_traceback(tmp_path: Path):
    error = raised(loaded(tmp_path / "own_deep.py", DEEP))
    sent = pickle.loads(pickle.dumps(origin.failed(error)))
    assert str(sent) == origin.told(sent) == origin.told(error)
    assert origin.trace(sent) == origin.trace(error)
    assert origin.failed(sent) is sent


def test_the_whole_traceback_is_kept_in_one_file_however_often_it_is_told(tmp_path: Path):
    error = raised(loaded(tmp_path / "own_deep.py", DEEP))
    first, second = origin.in_full(error), origin.in_full(error)
    assert first == second
    path = Path(first.rpartition(": ")[2])
    assert path.read_text() == origin.trace(error)
    assert "Traceback (most recent call last)" in path.read_text()
    path.unlink()


def test_every_file_that_comes_with_the_package_is_ours_and_all_others_beside_it_are_a_users():
    assert origin.RECORD.exists()
    for module in (view, log_odds):  # what is recorded is ours
        file = Path(sys.modules[module.__module__].__file__ or "").relative_to(HOUSE).as_posix()
        assert file in origin.RECORD.read_text()
    every = {
        path.relative_to(HOUSE).as_posix()
        for r in origin.OURS
        for path in (HOUSE / r).rglob("*.py")
    }
    assert every == origin._shipped()
