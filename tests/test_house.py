"""Who may import whom, read off the source: the rules of the house."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

HOUSE = Path(__file__).parent.parent
FLEET = {
    f"runner/fleet/{file}.py" for file in ("fleet", "_lane", "worker", "preflight", "_trainer")
}
TASKS = {"runner/audit/_tasks.py", "runner/audit/_ray_data.py"}
AUDIT = {f"runner/audit/{file}.py" for file in ("_blocks", "_targets")}
VULNERABLE = {f"runner/audit/{file}.py" for file in ("vulnerable", "_flags", "_memorized")}
FOREIGN = {f"runner/foreign/{file}.py" for file in ("listing", "members", "reading")}
SWEEP = {f"runner/sweep/{file}.py" for file in ("stage", "search", "searchers", "trial")}
STORAGE = {f"runner/storage/{file}.py" for file in ("cloud", "parquet", "answers", "scores")}
ONLY_IN = {  # package -> the only files that may import it
    "ray": {"runner/cluster/connect.py", *FLEET, *TASKS, *SWEEP},
    "grpc": {"runner/cluster/_exposure.py"},
    "optuna": {"runner/sweep/searchers.py"},
    "opacus": {f"defenses/{file}.py" for file in ("dp_sgd", "_accounting", "_per_example")},
    "pyautoattack": {"attacks/evasion/autoattack.py"},
    "pyarrow": {*STORAGE, *TASKS, *AUDIT, *VULNERABLE, *FOREIGN},
    "typer": {"runner/__main__.py", "runner/budget/command.py", "runner/demos/command.py"},
}
SOURCES = sorted(
    path.relative_to(HOUSE).as_posix()
    for room in ("attacks", "defenses", "runner")
    for path in (HOUSE / room).rglob("*.py")
)


def imports(source: str) -> set[str]:
    """Every module that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse((HOUSE / source).read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def rooms(source: str) -> set[str]:
    """The first parts of what a file imports."""
    return {name.split(".")[0] for name in imports(source)}


@pytest.mark.parametrize("source", SOURCES)
def test_nobody_imports_upwards(source: str):
    above = {"attacks": {"defenses", "runner"}, "defenses": {"runner"}, "runner": set()}
    assert not rooms(source) & above[source.split("/")[0]]


@pytest.mark.parametrize("package", ONLY_IN)
def test_outside_packages_are_imported_where_the_house_says(package: str):
    assert {source for source in SOURCES if package in rooms(source)} <= ONLY_IN[package]


def test_training_and_asking_work_without_ray():
    """On a machine that has no Ray, everything below the fleet can be imported."""
    needed = "runner.train.train, runner.ask.answers, runner.ask.robustness, runner.results.gather"
    needed += ", runner.sweep.settings, runner.sweep.results, runner.pipeline, runner.audit.scores"
    code = f"import sys; sys.modules['ray'] = None; import {needed}"
    done = subprocess.run([sys.executable, "-c", code], cwd=HOUSE, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_tasks_of_the_audit_and_the_queue_need_no_torch():
    """It would take each of their processes 2 seconds and 500 MB, on every node."""
    needed = "runner.audit.scores, runner.audit.judge, runner.audit.vulnerable, runner.fleet.queue"
    code = f"import sys, {needed}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=HOUSE, capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr


def test_every_file_says_what_it_is_for():
    for source in SOURCES:
        assert ast.get_docstring(ast.parse((HOUSE / source).read_text())), source


def test_no_commit_names_a_machine_or_a_home_folder():
    if not (HOUSE / ".git").exists():
        pytest.skip("no git checkout")
    names = subprocess.run(
        ["git", "ls-files"], cwd=HOUSE, capture_output=True, text=True, check=True
    )
    files = [HOUSE / name for name in names.stdout.splitlines()]
    files = [file for file in files if file.exists()]  # one that is moved is still listed
    assert HOUSE / "README.md" in files
    for file in files:
        text = file.read_bytes()
        assert not any(b"/" + word + b"/" in text for word in (b"root", b"home", b"mnt")), file


def test_no_test_module_imports_another():
    """What several of them use lies in tests/made/, so that each may be moved or run alone."""
    for path in sorted((HOUSE / "tests").rglob("*.py")):
        names = imports(path.relative_to(HOUSE).as_posix())
        of_tests = {name for name in names if name.startswith("tests.") and ".test_" in name}
        assert not of_tests, f"{path}: {of_tests}"
