"""The rules of the house, read off the source: its floors, its walls, and who takes what from afar.

`python tests/test_house.py` draws the floors anew in docs/architecture.md.
"""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

HOUSE = Path(__file__).parent.parent
ARCHITECTURE = HOUSE / "docs" / "architecture.md"
BEGIN, END = "<!-- floors: python tests/test_house.py -->\n", "<!-- end of the floors -->\n"

FLOORS = (  # from the ground up; who is on a floor takes only from the floors below
    ("attacks", "runner.faults", "runner.norms", "runner.statistics"),
    ("defenses", "runner.code", "runner.data", "runner.models", "runner.storage"),
    ("runner.experiment", "runner.report"),
    ("runner.plan", "runner.cluster", "runner.driver"),
    ("runner.train", "runner.audit", "runner.standalone"),
    ("runner.ask", "runner.fleet", "runner.results", "runner.forecast"),
    ("runner.pipeline", "runner.foreign"),
    ("runner.sweep",),
    ("runner.commands",),
    ("benchmarks",),
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS, 1) for room in rooms}
ONLY_IN = {  # package -> the only rooms that may import it; the others must not wait for it
    "ray": {"runner.cluster", "runner.fleet", "runner.audit", "runner.sweep"},
    "pyarrow": {"runner.data", "runner.storage", "runner.audit", "runner.foreign"},
    "torch": {
        *("attacks", "defenses", "runner.data", "runner.models", "runner.experiment"),
        *("runner.plan", "runner.train", "runner.ask", "runner.fleet", "runner.forecast"),
        *("runner.standalone", "runner.norms", "runner.sweep", "runner.foreign"),
    },
    "grpc": {"runner.cluster"},
    "optuna": {"runner.sweep"},
    "opacus": {"defenses"},
    "pyautoattack": {"attacks"},
    "matplotlib": {"runner.report", "runner.standalone"},
    "typer": {"runner.commands"},
}
FINDS = ("attacks/by_name.py", "runner/code/_digests.py")  # what they import, or see imported
SOURCES = sorted(
    path.relative_to(HOUSE).as_posix()
    for folder in ("attacks", "defenses", "runner", "benchmarks")
    for path in (HOUSE / folder).rglob("*.py")
    if path != HOUSE / "runner" / "__init__.py"
)


def module(source: str) -> str:
    return source.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


MODULES = {module(source) for source in SOURCES}


def room(name: str) -> str:
    """The room that a module lies in: a package or a file of runner/, or another top folder.

    `runner/__main__.py` lies where Python looks for it: it is the door of the commands' room.
    """
    if name == "runner.__main__":
        return "runner.commands"
    parts = name.split(".")
    return ".".join(parts[: 2 if parts[0] == "runner" else 1])


@cache
def imports(source: str) -> frozenset[str]:
    """Every module that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse((HOUSE / source).read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.module, f"{source}: import by whole names, not relatively"
            assert not node.level, f"{source}: import by whole names, not relatively"
            for alias in node.names:
                inside = f"{node.module}.{alias.name}"
                found.add(inside if inside in MODULES else node.module)
    return frozenset(found)


def names_from_other_rooms(source: str) -> set[str]:
    """What a file takes out of modules of other rooms, as `module.name`."""
    mine = room(module(source))
    return {
        f"{node.module}.{alias.name}"
        for node in ast.walk(ast.parse((HOUSE / source).read_text()))
        if isinstance(node, ast.ImportFrom) and node.module and room(node.module) in FLOOR
        for alias in node.names
        if room(f"{node.module}.{alias.name}") != mine
    }


def from_other_rooms(source: str) -> set[str]:
    """The modules of other rooms of the house that a file imports."""
    mine = room(module(source))
    return {name for name in imports(source) if room(name) in FLOOR and room(name) != mine}


def drawing() -> str:
    """The floors as a house, then a row a room: what it is for, what others take, what it takes."""
    stories = [
        f"{number:2d} | {'   '.join(name.removeprefix('runner.') for name in rooms):^58} |"
        for number, rooms in reversed([*enumerate(FLOORS, 1)])
    ]
    roof = "   +" + "-" * 60 + "+"
    rows = ["```text", roof, *stories, roof, "```", ""]
    rows += [
        "| floor | room | what it is for | its faces | it takes from |",
        "|--:|---|---|---|---|",
    ]
    for number, rooms in reversed([*enumerate(FLOORS, 1)]):
        for name in rooms:
            own = [source for source in SOURCES if room(module(source)) == name]
            at = own[0].split("/")[0] + "/" if name != "benchmarks" else "benchmarks/"
            if name.startswith("runner."):
                at = name.replace(".", "/")
                at += ".py" if (HOUSE / f"{at}.py").exists() else "/"
            taken = {n for source in SOURCES for n in from_other_rooms(source) if room(n) == name}
            faces = [n.removeprefix(f"{name}.") for n in sorted(taken - {name})]
            below = {room(n) for source in own for n in from_other_rooms(source)}
            shown = ["the package"] * (name in taken and at.endswith("/"))
            shown += [f"`{face}`" for face in faces]
            cells = (str(number), f"`{at}`", _purpose(at), ", ".join(shown))
            takes = sorted(below, key=lambda n: (-FLOOR[n], n))
            rows.append(
                f"| {' | '.join(cells)} | {', '.join(n.removeprefix('runner.') for n in takes)} |"
            )
    return "\n".join(rows) + "\n"


def _purpose(at: str) -> str:
    """The first line of a room's docstring, without its full stop."""
    file = HOUSE / (f"{at}__init__.py" if at.endswith("/") else at)
    if not file.exists():
        return "side-by-side measurements, and their records"
    told = ast.get_docstring(ast.parse(file.read_text())) or ""
    return told.splitlines()[0].removesuffix(".")


def redrawn(page: str) -> str:
    """The page with the floors as they are now."""
    before, rest = page.split(BEGIN)
    return f"{before}{BEGIN}\n{drawing()}\n{END}{rest.split(END)[1]}"


@pytest.mark.parametrize("source", SOURCES)
def test_nobody_imports_from_his_own_floor_or_above(source: str):
    mine = FLOOR[room(module(source))]
    assert not {name for name in from_other_rooms(source) if FLOOR[room(name)] >= mine}


@pytest.mark.parametrize("source", SOURCES)
def test_nobody_imports_a_module_that_is_another_rooms_own(source: str):
    taken = from_other_rooms(source) | names_from_other_rooms(source)
    own = {n for n in taken if any(p[0] == "_" and p != "__main__" for p in n.split("."))}
    assert not own


def test_there_is_no_circle():
    """Not between rooms, which the floors say, and not between the files of one."""
    left = {module(source): {*imports(source)} & MODULES for source in SOURCES}
    while free := [name for name, needs in left.items() if not needs & left.keys() - {name}]:
        for name in free:
            del left[name]
    assert not left


def test_a_newcomer_sees_runner_at_a_glance():
    entries = {source.split("/")[1] for source in SOURCES if source.startswith("runner/")}
    assert len(entries) + 1 <= 25  # and __init__.py
    assert len(FLOORS) <= 10
    assert {room(module(source)) for source in SOURCES} == FLOOR.keys()
    whole = ast.parse((HOUSE / "runner" / "__init__.py").read_text()).body
    asked = {statement.module for statement in whole if isinstance(statement, ast.ImportFrom)}
    assert asked <= {"collections.abc", "importlib", "typing"}
    assert not any(isinstance(statement, ast.Import) for statement in whole)
    inside = imports("runner/__init__.py")
    assert inside == asked, "it would decide what every module that lies below it decides"


def test_import_runner_waits_for_nothing():
    afar = ("torch", "ray", "numpy", "pandas", "pyarrow", "pydantic", "yaml", "typer", "rich")
    asked = "import runner; runner.load, runner.open, runner.load_model, runner.audit"
    assert not loaded(asked, *afar)
    assert loaded("import runner; runner.load('quickstart')", "torch", "ray") == []


def test_all_code_stands_on_a_floor_and_takes_nothing_from_tests():
    listed = subprocess.run(["git", "ls-files", "*.py"], cwd=HOUSE, capture_output=True, text=True)
    folders = {name.split("/")[0] for name in listed.stdout.splitlines()}
    assert folders <= {room.split(".")[0] for room in FLOOR} | {"tests", "configs", "docs"}
    for source in (each for each in SOURCES if not each.startswith("benchmarks/")):
        assert not {name.split(".")[0] for name in imports(source)} & {"tests", "benchmarks"}
        text = (HOUSE / source).read_text()
        assert source in FINDS or "import_module" not in text, source


def test_the_drawing_of_the_floors_is_current():
    page = ARCHITECTURE.read_text()
    assert page == redrawn(page), "python tests/test_house.py draws it anew"


@pytest.mark.parametrize("package", ONLY_IN)
def test_what_comes_from_afar_is_imported_where_the_house_says(package: str):
    ours = [source for source in SOURCES if not source.startswith("benchmarks/")]
    who = {room(module(s)) for s in ours if package in {n.split(".")[0] for n in imports(s)}}
    assert who == ONLY_IN[package]


def loaded(statement: str, *packages: str) -> list[str]:
    """Which of some packages are loaded once a statement has run in a process of its own."""
    code = f"import sys\n{statement}\nprint(*(p for p in {packages} if p in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=HOUSE, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split("\n")[-2].split()


def test_training_and_asking_work_without_ray():
    """On a machine that has no Ray, everything below the fleet can be imported."""
    needed = "runner.train.train, runner.ask.answers, runner.ask.robustness, runner.results.gather"
    needed += ", runner.sweep.settings, runner.sweep.results, runner.pipeline, runner.audit.scores"
    assert not loaded(f"sys.modules['ray'] = None\nimport {needed}", "ray.data")


def test_tasks_of_the_audit_and_the_queue_need_no_torch():
    """It would take each of their processes 2 seconds and 500 MB, on every node."""
    needed = "runner.audit.scores, runner.audit.judge, runner.audit.vulnerable, runner.fleet.queue"
    assert not loaded(f"import {needed}", "torch")


def test_the_help_waits_for_nothing_and_check_not_for_ray():
    line = "sys.argv = ['runner', {}]\nfrom runner.__main__ import app\napp(standalone_mode=False)"
    assert not loaded(line.format("'--help'"), "torch", "ray", "numpy", "pyarrow")
    known = line.format("'status', '--help'") + "\nfrom runner.driver import status"
    assert not loaded(known, "torch", "ray", "numpy", "pyarrow")
    beside = "import runner.driver.listing, runner.results.across.compare"
    assert not loaded(beside, "torch", "ray")
    checked = line.format("'check', 'quickstart'")
    assert not loaded(checked, "ray", "matplotlib", "opacus", "torchvision")


def test_a_fault_in_the_keys_is_told_before_what_computes_is_imported():
    """It takes a third of a second and 53 MB; torch alone would take 2 seconds and 700 MB."""
    checked = [
        *("training.epoch=3", "training.epochs=many", "training.momentum=2", "design.num_models=7"),
        *("data.name=digts", "model.name=resnet", "arms.erm.defense.name=erms"),
        *("robustness.attacks.pgd20.name=pdg", "membership.attacks.lira_online.name=lyra"),
        "arms.erm.defense={name: dp_sgd, noise_multiplier: 1, target_epsilon: 3}",
        "arms.trades_demem.defense.base.attack.epz=0.1",
        "arms.erm.defense={name: residual_perturbation, gamma: 1, base: {name: awp, gamma: -1}}",
        "membership.attacks.other={name: shadow_mlp, protocol: none}",
        "membership.attacks.lira_online.preset=carlini",
        "answers.views=[flop]",
        "sweep={arm: trades, axes: {arms.trades.defense.betta: [1, 2]}}",
        *("arms.erm", "name=["),
    ]
    commands = [["check", "quickstart", "--set", fault] for fault in checked]
    commands += [["check", "quickstrat"], ["sweep", "quickstart"]]
    commands += [[c, "quickstart", "--set", checked[0]] for c in ("plan", "run", "sweep", "report")]
    lira = "membership.attacks.lira_online.name=lyra"
    commands += [["audit", "--answers", "a", "--member", "m", "--set", lira]]
    given = f"""
from runner.__main__ import app
for command in {commands}:
    sys.argv = ["runner", *command]
    try:
        app(standalone_mode=False)
    except SystemExit as end:
        assert end.code == 2, (command, end.code)
    else:
        raise AssertionError(command)
"""
    assert not loaded(given, *ONLY_IN.keys() - {"typer"}, "scipy", "sklearn", "torchvision")


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
    files = [file for file in files if file.is_file()]  # one that is moved is still listed
    assert HOUSE / "README.md" in files
    for file in files:
        text = file.read_bytes()
        assert not any(b"/" + word + b"/" in text for word in (b"root", b"home", b"mnt")), file


if __name__ == "__main__":
    ARCHITECTURE.write_text(redrawn(ARCHITECTURE.read_text()))
