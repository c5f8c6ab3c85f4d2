"""What a user meets who gives something wrong: one message, exit code 2, nothing begun."""

import re
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
import yaml
from typer.testing import CliRunner

from runner.__main__ import app
from runner.commands.common import storage_at
from tests.conftest import TINY
from tests.made.commands import invoke

HOUSE = Path(__file__).parents[2]
SHIPPED = sorted(
    path for path in (HOUSE / "configs").rglob("*.yaml") if "cluster" not in path.parts
)


@pytest.fixture
def tiny_yaml(tmp_path: Path) -> str:
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(TINY))
    return str(path)


def quick(path: Path) -> bool:
    """Whether its networks are small and its images few: all are tried."""
    return any(word in path.as_posix() for word in ("small", "digits", "quickstart"))


@pytest.mark.parametrize(
    "path",
    [pytest.param(p, marks=[] if quick(p) else pytest.mark.slow, id=p.stem) for p in SHIPPED],
)
def test_check_finds_no_fault_in_what_is_shipped(path: Path):
    code, out = invoke("check", str(path))
    assert code == 0, out
    assert "no fault" in out


def test_every_shipped_configuration_opens_with_its_command_and_cost():
    for path in SHIPPED:
        head = path.read_text().split("name:")[0]
        name = f"configs/{path.relative_to(HOUSE / 'configs')}"
        assert any(f"python -m runner {command} {name}" in head for command in ("run", "sweep"))
        assert "Cost:" in head


def test_check_tells_all_faults_at_once(tiny_yaml: str):
    code, out = invoke(
        "check", tiny_yaml, "--set", "training.epoch=3", "--set", "arms.erm.defense.name=erms"
    )
    assert code == 2
    assert "2 faults" in out
    assert "training.epoch: unknown key 'epoch'; did you mean 'epochs'?" in out
    assert "did you mean 'erm'?" in out


@pytest.mark.parametrize("command", ["check", "plan", "run", "report"])
def test_a_missing_configuration_is_exit_code_2(command: str):
    code, out = invoke(command, "no_such_thing")
    assert code == 2
    assert "no such file or shipped configuration" in out


@pytest.mark.parametrize("command", ["plan", "run", "report"])
def test_a_storage_that_cannot_be_written_is_exit_code_2(
    command: str, tiny_yaml: str, tmp_path: Path
):
    (tmp_path / "file").write_bytes(b"")
    code, out = invoke(command, tiny_yaml, "--storage", str(tmp_path / "file"))
    assert code == 2
    assert "--storage" in out


@pytest.mark.parametrize("command", ["plan", "run"])
def test_missing_data_is_exit_code_2_and_says_where_it_looked(
    command: str, tiny_yaml: str, tmp_path: Path
):
    data = "data={name: mnist, root: nowhere, download: false}"
    code, out = invoke(command, tiny_yaml, "--set", data, "--storage", str(tmp_path / "s"))
    assert code == 2
    assert "nowhere" in out
    assert not any(path.is_file() for path in (tmp_path / "s").rglob("*"))


def test_plan_tells_what_is_to_do_and_what_can_be_resolved(tiny_yaml: str, tmp_path: Path):
    code, out = invoke("plan", tiny_yaml, "--storage", str(tmp_path / "s"))
    assert code == 0
    assert "erm: 0 done, 6 to train (time not known yet)" in out
    assert "0.01 (100 non-members)" in out
    assert "disk:" in out


def test_a_report_of_what_is_not_finished_is_refused(tiny_yaml: str, tmp_path: Path):
    code, out = invoke("report", tiny_yaml, "--storage", str(tmp_path / "s"))
    assert code == 1
    assert "12 of 12 models are still to do" in out


def test_help_names_every_command():
    code, out = invoke("--help")
    assert code == 0
    assert all(name in out for name in ("check", "plan", "run", "report", "budget", "demo"))


def commands(of: Any = None, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words of every command and group of the command line."""
    of = of or typer.main.get_command(app)
    yield words
    for name, inner in getattr(of, "commands", {}).items():
        yield from commands(inner, (*words, name))


@pytest.mark.parametrize("words", [*commands()], ids=" ".join)
def test_h_helps_as_help_does(words: tuple[str, ...]):
    code, out = invoke(*words, "-h")
    assert code == 0
    assert "Usage:" in out
    assert "--help" in out


def test_version_says_which_code_this_is():
    code, out = invoke("--version")
    assert code == 0
    assert re.match(r"runner (\d\S+|\(not installed\))(, commit \w+)?", out)
    assert f"torch {metadata.version('torch')}" in out


@pytest.mark.parametrize(
    ("shell", "given"),
    [
        ("bash", {"COMP_WORDS": "runner {words}", "COMP_CWORD": "{at}"}),
        ("zsh", {"_TYPER_COMPLETE_ARGS": "runner {words}"}),
        (
            "fish",
            {"_TYPER_COMPLETE_ARGS": "runner {words}", "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
        ),
    ],
)
def test_a_shell_completes_commands_files_and_shipped_names(
    shell: str, given: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    Path("quality.yaml").touch()
    Path("notes.txt").touch()

    def completed(words: str) -> str:
        told = {
            key: value.format(words=words, at=len(words.split())) for key, value in given.items()
        }
        environment = told | {"_RUNNER_COMPLETE": f"complete_{shell}"}
        return CliRunner().invoke(app, [], env=environment, prog_name="runner").output

    assert "status" in completed("sta")
    assert "check" not in completed("sta")
    found = completed("check qu")
    assert "quickstart" in found
    assert "quality.yaml" in found
    assert "notes" not in completed("check no")


def test_a_shipped_name_is_found_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    code, out = invoke("check", "quickstart")
    assert code == 0, out


@pytest.mark.parametrize("variable", ["RAY_JOB_ID", "RAY_JOB_CONFIG_JSON_ENV_VAR"])
def test_a_job_writes_to_the_home_folder_since_its_own_is_temporary(
    variable: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.delenv("RAY_JOB_ID", raising=False)
    monkeypatch.delenv("RAY_JOB_CONFIG_JSON_ENV_VAR", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert storage_at(None) == Path("results").absolute()
    monkeypatch.setenv(variable, "raysubmit_1")
    assert storage_at(None) == tmp_path / "runner-results"
    assert storage_at("elsewhere") == Path("elsewhere").absolute()


@pytest.mark.parametrize("command", ["check", "plan", "run", "sweep"])
def test_what_would_fail_in_a_worker_is_refused_before_anything_is_started(
    command: str, tmp_path: Path
):
    """Images of one row, and a view of the row above."""
    images = np.random.default_rng(0).integers(0, 256, (120, 1, 12), np.uint8)
    np.savez(tmp_path / "rows.npz", images=images, labels=np.arange(120) % 3)
    yaml_of = {**TINY, "data": {"name": "npz", "root": str(tmp_path / "rows.npz")}}
    yaml_of |= {"answers": {"views": ["identity", "shift_up"]}}
    if command == "sweep":
        axes = {"arms.pgd_at.defense.attack.eps": [0.1, 0.2]}
        yaml_of |= {"sweep": {"arm": "pgd_at", "axes": axes, "rungs": [6]}}
    (tmp_path / "rows.yaml").write_text(yaml.safe_dump(yaml_of))
    storage = [] if command == "check" else ["--storage", str(tmp_path / "s")]
    code, out = invoke(command, str(tmp_path / "rows.yaml"), *storage)
    assert code == 2
    assert "answers.views: shift_up moves images by 1 rows and 0 columns" in out
    assert "1x12 pixels; it takes 2x1 or more: leave the view out" in out
    assert not any(path.is_file() for path in (tmp_path / "s").rglob("*"))
