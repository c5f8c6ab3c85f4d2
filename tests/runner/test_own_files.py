"""An error in a file that a user wrote: one message with that file and line, and the traceback.

Each file lies in a folder of the test, which stands for the room that its kind is found in.
"""

import importlib
import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from attacks import origin
from runner.audit.scores import Unscored, write_scores
from runner.driver.lock import hold
from runner.faults import Unfinished
from runner.plan.work import Work
from runner.storage import store
from runner.train.train import train
from runner.train.workplace import Workplace
from tests.conftest import TINY, do_here
from tests.made.commands import invoke
from tests.made.training import do

OWN = '''"""A user's own."""
from typing import Literal

import torch
from {contract} import {cls}


class Mine({cls}):
    name: Literal["{name}"] = "{name}"
'''
STEP = """
    def losses_at(self, model, images, adversarial, labels):
        {line}
"""
BAD = """class Odd(Exception):
    def __str__(self):
        raise TypeError
"""
Write = Callable[[str, str, str, str], Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Puts a file into a room, and returns its path."""

    def put(package: str, cls: str, name: str, rest: str) -> Path:
        room = importlib.import_module(package)
        if str(tmp_path) not in room.__path__:
            monkeypatch.setattr(room, "__path__", [*room.__path__, str(tmp_path)])
        path = tmp_path / f"{name}.py"
        path.write_text(OWN.format(contract=package, cls=cls, name=name) + rest)
        return path

    return put


def line_of(path: Path, text: str) -> str:
    """file:line of the first line that holds a text."""
    number = next(n for n, line in enumerate(path.read_text().splitlines(), 1) if text in line)
    return f"{path}:{number}"


def check_tells(command: str, tmp_path: Path, changes: dict, path: Path, text: str) -> None:
    """Hold that a command is refused with the line, and only its traceback was written."""
    config, storage = tmp_path / "x.yaml", tmp_path / "storage"
    config.write_text(yaml.safe_dump({**TINY, **changes}))
    options = [] if command == "check" else ["--storage", str(storage)]
    code, out = invoke(command, str(config), *options)
    assert code == 2, out
    assert line_of(path, text) in out
    kept = Path(out.partition("the whole traceback: ")[2].split()[0].rstrip(";"))
    assert "Traceback (most recent call last)" in kept.read_text()
    assert path.name in kept.read_text()
    kept.unlink()
    assert not storage.exists()


@pytest.mark.parametrize("command", ["check", "plan", "run"])
@pytest.mark.parametrize(
    ("name", "rest"),
    [
        ("own_syntax", "    def losses_at(:\n"),
        ("own_indented", "        x = 1\n"),
        ("own_import", "import no_such_module\n"),
        ("own_zero", "print(1 // 0)\n"),
        ("own_exit", "raise SystemExit('a script')\n"),
    ],
)
def test_a_file_that_cannot_be_imported(
    tmp_path: Path, write: Write, command: str, name: str, rest: str
):
    path = write("defenses", "Defense", name, rest)
    arms = {"mine": {"defense": {"name": name}}}
    check_tells(command, tmp_path, {"arms": arms}, path, rest.splitlines()[0].strip())


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("own_leaves", "raise SystemExit(0)"),
        ("own_next", "next(iter([]))"),
        ("own_odd", "raise Odd"),
    ],
)
def test_a_step_that_ends_oddly_is_refused_before_anything_is_written(
    tmp_path: Path, write: Write, name: str, line: str
):
    path = write("defenses", "Defense", name, STEP.format(line=line))
    path.write_text(path.read_text().replace("\n\nclass Mine", f"\n\n{BAD}\n\nclass Mine"))
    check_tells("run", tmp_path, {"arms": {"mine": {"defense": {"name": name}}}}, path, line)


def test_data_that_leave_the_process_are_refused(tmp_path: Path, write: Write):
    rest = "    def load(self):\n        raise SystemExit('no such file')\n"
    path = write("runner.data", "Data", "own_leaving", rest)
    check_tells("run", tmp_path, {"data": {"name": "own_leaving"}}, path, "'no such file'")


def test_what_lies_in_a_folder_beside_ours_is_a_users():
    def raised(file: str) -> list[str]:
        space: dict = {}
        exec(compile("def go():\n    {}['odd']\n", str(origin.ROOT / file), "exec"), space)
        with pytest.raises(KeyError) as caught:
            space["go"]()
        return origin.lines(caught.value)

    for own in ("defenses/mine/tools.py", "attacks/mine.py", "runner/data/_mine/a/b.py", "mine.py"):
        assert raised(own) == [f"{own}:2"]
    for ours in ("defenses/erm.py", "runner/data/npz.py", "tests/x.py", "benchmarks/x.py"):
        assert raised(ours) == []


def test_a_file_that_nobody_asked_for_may_be_broken(tmp_path: Path, write: Write):
    write("defenses", "Defense", "own_unfinished", "    def losses_at(:\n")
    config = tmp_path / "x.yaml"
    config.write_text(yaml.safe_dump({**TINY, "arms": {"mine": {"defense": "tradse"}}}))
    code, out = invoke("check", str(config))
    assert code == 2
    assert "did you mean 'trades'?" in out
    assert "own_unfinished" not in out


@pytest.mark.parametrize(
    ("package", "cls", "key"),
    [
        ("defenses", "Defense", "arms.mine.defense"),
        ("runner.models", "Model", "model"),
        ("runner.data", "Data", "data"),
        ("attacks.evasion", "EvasionAttack", "robustness.attacks.mine"),
        ("attacks.membership", "MembershipAttack", "membership.attacks.mine"),
    ],
)
def test_a_class_that_cannot_be_filled(
    tmp_path: Path, write: Write, package: str, cls: str, key: str
):
    name = f"own_{cls.lower()}"
    rest = "    def model_post_init(self, context):\n        self.missing.go()\n"
    path = write(package, cls, name, rest)
    changes: dict = {}
    *parents, last = key.split(".")
    at = changes
    for parent in parents:
        at = at.setdefault(parent, {})
    at[last] = {"name": name}
    check_tells("check", tmp_path, changes, path, "self.missing.go()")


def test_a_key_of_a_type_that_only_a_type_checker_imports(tmp_path: Path, write: Write):
    path = write("defenses", "Defense", "own_unseen", "    attack: PGD\n")
    late = "from typing import TYPE_CHECKING, Literal\n\nif TYPE_CHECKING:\n"
    late = f"from __future__ import annotations\n{late}    from attacks.evasion.pgd import PGD\n"
    path.write_text(path.read_text().replace("from typing import Literal\n", late))
    config = tmp_path / "x.yaml"
    config.write_text(yaml.safe_dump({**TINY, "arms": {"mine": {"defense": "own_unseen"}}}))
    code, out = invoke("check", str(config))
    assert code == 2
    assert "own_unseen.py: a key of Mine names the type 'PGD'" in " ".join(out.split())


def test_data_that_cannot_be_read_and_a_file_that_says_no_name(tmp_path: Path, write: Write):
    rest = "    def load(self):\n        return {}['images']\n"
    path = write("runner.data", "Data", "own_pixels", rest)
    check_tells("plan", tmp_path, {"data": {"name": "own_pixels"}}, path, "['images']")
    rest = "    def load(self):\n        return torch.zeros(3).numpy().reshape(2)\n"
    path = write("runner.data", "Data", "own_shape", rest)
    check_tells("plan", tmp_path, {"data": {"name": "own_shape"}}, path, "reshape(2)")
    path = write("runner.data", "Data", "own_nameless", "\n\nclass Other(Data):\n    pass\n")
    config = tmp_path / "x.yaml"
    config.write_text(yaml.safe_dump({**TINY, "data": {"name": "own_nameless"}}))
    code, out = invoke("check", str(config))
    assert code == 2
    assert "own_nameless.py must define exactly one Data, and has Mine, Other" in out


def test_a_worker_says_the_line_and_keeps_the_traceback_until_the_model_is_made(
    place: Workplace, work: Work, tmp_path: Path
):
    pytest.importorskip("ray", reason="machines that only train have no Ray")
    path = tmp_path / "own_step.py"
    path.write_text("import torch\n\ndef step(run, place):\n    torch.zeros(2) @ torch.zeros(3)\n")
    spec = importlib.util.spec_from_file_location("own_step", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    run = work.plan.runs[0]
    reason = do([run], [module.step], place).snapshot().failed[run.id]
    kept = place.store.run(run.id) / store.TRACEBACK
    assert reason.startswith("RuntimeError: ")
    assert reason.endswith(f"(at {path}:4); the whole traceback: {kept}")
    assert b"torch.zeros(2) @ torch.zeros(3)" in kept.read_bytes()
    do([run], [train], place)
    assert not kept.exists()


SCORE = """    per_target: ClassVar[bool] = {per_target}
    def score(self, target, shadows, shadow_member, examples, seed=0):
        return target[:, 0] + torch.zeros(3).numpy()
"""


@pytest.mark.parametrize("per_target", [False, True])
def test_an_attack_that_fails_in_the_audit_says_the_line(
    work: Work, write: Write, per_target: bool
):
    name = f"own_score_{per_target}".lower()
    path = write("attacks.membership", "MembershipAttack", name, "")
    path.write_text(
        path.read_text().replace("Literal\n", "ClassVar, Literal\n")
        + SCORE.format(per_target=per_target)
    )
    asked = work.experiment.model_dump(mode="json") | {"membership": {"attacks": {"mine": name}}}
    experiment = type(work.experiment).model_validate(asked)
    own = work._replace(experiment=experiment)
    with pytest.raises(Unfinished) as caught:
        do_here(own)
    told = str(caught.value)
    assert line_of(path, "torch.zeros(3)") in told
    kept = work.folder / store.TRACEBACK
    assert told.endswith(f"the whole traceback: {kept}")
    assert b"return target[:, 0]" in kept.read_bytes()
    with pytest.raises(Unscored, match="could not be broadcast"):
        write_scores(own, in_ray=False)


def test_what_fails_on_the_way_keeps_its_traceback_in_the_folder_until_all_is_well(
    tmp_path: Path,
):
    path = tmp_path / "own_late.py"
    path.write_text("def go():\n    {}['odd']\n")
    space: dict = {}
    exec(compile(path.read_text(), str(path), "exec"), space)
    with pytest.raises(Unfinished) as caught, hold(tmp_path / "x", print):
        space["go"]()
    kept = tmp_path / "x" / store.TRACEBACK
    assert f"KeyError: 'odd' (at {path}:2)\nthe whole traceback: {kept}\n" in str(caught.value)
    assert "own_late.py" in kept.read_text()
    with hold(tmp_path / "x", print):
        pass
    assert not kept.exists()
