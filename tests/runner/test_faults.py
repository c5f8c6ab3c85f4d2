"""The bases of what a command can fail with: every exception of the source has one of them."""

import ast
import pickle

import pytest

from runner.faults import Stopped, TakenOver, Unfinished, UserFault
from runner.storage.cloud import Away
from runner.storage.store import Corrupt
from tests.made.faults import HOUSE, exception_classes, one_of

ENDINGS = (UserFault, Unfinished, TakenOver, Stopped, Corrupt, Away)
WITHIN = {  # no command ends with one of these -> where they are caught
    "ShippedError": ["runner/audit/_ray_data.py"],
    "Failed": ["runner/audit/scores.py"],
    "Unscored": ["runner/pipeline.py", "runner/foreign/stage.py"],
    "Left": ["runner/fleet/worker.py"],
    "MadeElsewhere": ["runner/driver/repair.py"],
    "Untried": ["runner/forecast/rehearsal/rehearse.py"],
    "_Enough": ["runner/forecast/rehearsal/_attacks.py"],
}
EVERY = exception_classes()


def test_the_classes_are_found():
    assert ("runner.faults", "UserFault") in EVERY
    assert ("runner.fleet.preflight", "NotReady") in EVERY
    assert WITHIN.keys() < {name for _, name in EVERY}


@pytest.mark.parametrize(("module", "name"), EVERY)
def test_what_a_command_raises_on_purpose_has_a_base_that_says_how_it_ends(module: str, name: str):
    assert isinstance(one_of(module, name), ENDINGS) == (name not in WITHIN)


@pytest.mark.parametrize(
    ("name", "file"), [(name, file) for name, files in WITHIN.items() for file in files]
)
def test_what_has_no_such_base_is_caught_on_the_way(name: str, file: str):
    tree = ast.parse((HOUSE / file).read_text())
    caught = {
        ast.unparse(node.type)
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler) and node.type
    }
    tested = {
        ast.unparse(node.args[1])
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "isinstance"
    }
    assert name in caught | tested


@pytest.mark.parametrize(("module", "name"), EVERY)
def test_each_comes_through_a_pickle_as_it_was(module: str, name: str):
    error = one_of(module, name)
    found = pickle.loads(pickle.dumps(error))
    assert type(found) is type(error)
    assert str(found) == str(error)


def test_the_bases_import_nothing():
    nodes = ast.walk(ast.parse((HOUSE / "runner/faults.py").read_text()))
    assert not [node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]
