"""The documentation as a site: its contents, its commands, its reference, and that it is made."""

import importlib.util
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import typer

from runner.__main__ import app
from runner.experiment.config import locate
from runner.storage.store import Store
from tests.made.commands import invoke

HOUSE = Path(__file__).parents[1]
DOCS = HOUSE / "docs"
PAGES = sorted(DOCS.glob("*.md"))
LEFT_OUT = ("MissingParameter", "BadOptionUsage", "NoArgsIsHelpError")  # a text is no whole line
FOR = sorted(DOCS.glob("for_*.md"))  # whose commands are run


def test_every_page_has_a_place_in_the_contents_of_the_site():
    """The site is made without it too, where such a page stands under `More`."""
    placed = re.findall(r"^(\w+)$", (DOCS / "index.md").read_text(), re.M)
    assert len(placed) == len(set(placed))
    missing = {page.stem for page in PAGES} - set(placed) - {"index"}
    assert not missing, f"give {missing} a line in a toctree of docs/index.md"


def commands_of(page: Path) -> list[str]:
    """Every command of ours that stands in a block or in a text of a page, in one line."""
    text = page.read_text().replace("\\\n", " ")
    blocks = re.findall(r"^ *```bash\n(.*?)^ *```", text, re.M | re.S)
    lines = [line.split(" #")[0].strip() for block in blocks for line in block.splitlines()]
    said = [line.split(" -- ", 1)[-1] for line in lines]
    said += re.findall(r"`((?:python -m )?runner [a-z][^`]*)`", text)
    return [
        line.removeprefix("python -m ")
        for line in dict.fromkeys(said)
        if re.match(r"(python -m )?runner ", line)
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_of_a_page_is_one_that_there_is(page: Path):
    """Its options are parsed and what it names of ours is there; a text may leave something out."""
    for line in commands_of(page):
        words = shlex.split(line.replace("...", "").replace("[", " ").replace("]", " "))[1:]
        at: Any = typer.main.get_command(app)
        while words and hasattr(at, "commands") and not words[0].startswith("-"):
            assert words[0] in at.commands, line
            at, words = at.commands[words[0]], words[1:]
        why = ""
        try:
            at.make_context(line, list(words))
        except Exception as error:
            why = type(error).__name__
        assert why in ("", *LEFT_OUT, "Exit"), line
        for word in words:
            if re.match(r"configs/|sweeps/|audits/|demem/|quickstart", word):
                assert locate(word), line


@pytest.mark.slow
def test_the_commands_of_pages_for_somebody_are_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Those that train are not in blocks; what they read is checked or planned."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    images, labels = random.integers(0, 256, (250, 8, 8), np.uint8), np.arange(250) % 2
    np.savez("my_images.npz", images=images, labels=labels)
    Store(tmp_path / "results").check_writable()  # as those that train leave it
    text = "".join(page.read_text() for page in FOR)
    blocks = re.findall(r"^ *```bash\n(.*?)^ *```", text, re.M | re.S)
    lines = dict.fromkeys(line.strip() for block in blocks for line in block.splitlines())
    assert len(lines) >= 8
    for line in lines:
        code, out = invoke(*shlex.split(line)[1:])
        assert code == 0, f"{line}\n{out}"


@pytest.fixture
def reference() -> ModuleType:
    """docs/_reference.py, which is no part of a package."""
    spec = importlib.util.spec_from_file_location("_reference", DOCS / "_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_has_every_key_every_command_and_every_contract(reference: ModuleType):
    schema, commands, contracts = (
        getattr(reference, name)() for name in ("schema", "commands", "contracts")
    )
    assert "| `epochs` | a whole number above 0 | required |" in schema
    assert "## arms.NAME\n" in schema
    assert "## sweep.axes.NAME\n" in schema
    for package in ("defenses", "attacks/evasion", "attacks/membership", "runner/models"):
        for file in (HOUSE / package).glob("[a-z]*.py"):
            assert re.search(rf"^### `{file.stem}\d*`$", schema, re.M), file
    for name in typer.main.get_command(app).commands:  # type: ignore[attr-defined]
        assert re.search(rf"^## runner {name}\b", commands, re.M), name
    assert "| `--set KEY=VALUE` | override one dotted key" in commands
    for name in ("defenses.Defense", "attacks.membership.MembershipAttack", "runner.data.Data"):
        assert f"## `{name}`\n" in contracts


@pytest.mark.slow
def test_the_site_is_made_without_a_warning_and_asks_no_network(tmp_path: Path):
    """In a second after its pages were made; whoever reads it may be offline."""
    pytest.importorskip("sphinx", reason="what makes the site; pip install -e '.[docs]'")
    pytest.importorskip("furo")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html"]
    where = ["-d", str(tmp_path / "read"), "docs", str(tmp_path / "site")]
    made = subprocess.run([*command, *where], cwd=HOUSE, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    pages = sorted((tmp_path / "site").rglob("*.html"))
    assert {page.stem for page in PAGES} | {"search", "schema"} <= {page.stem for page in pages}
    for page in pages:
        text = page.read_text()
        for tag in re.findall(r"<(?:script|link|img|iframe)\b[^>]*>", text):
            assert not re.search(r"(?:src|href)=\"(?:https?:)?//", tag), f"{page.name}: {tag}"
    for sheet in (tmp_path / "site").rglob("*.css"):
        assert not re.search(r"(@import|url\()\s*[\"']?(https?:)?//", sheet.read_text()), sheet.name
