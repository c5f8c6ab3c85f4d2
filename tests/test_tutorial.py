"""The tutorial's commands are run, and print what stands below them.

`python -m tests.test_tutorial` runs them in a new folder and writes anew what they print.
"""

import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.made.commands import HOUSE, invoke, without_ray

pytestmark = [
    pytest.mark.ray("commands"),
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # Ray's own, of its own parts
]
PAGE = HOUSE / "docs" / "tutorial.md"
STEP = re.compile(r"^```bash\n(runner [^\n]*)\n```\n\n```text\n(.*?)```$", re.M | re.S)
NUMBER = re.compile(r"(?<![\w.])[-+]?\d[\d,]*(?:\.\d+)?")
WIDTH = "110"


def lines_of(printed: str, folder: Path) -> list[str]:
    """What a command printed but for its log, with paths that begin where it was given."""
    text = re.sub(r".*\r", "", printed).replace(f"{folder}/", "")
    lines = [line.rstrip() for line in text.splitlines()]
    return [line for line in lines if line and not re.match(r"\d{4}-\d\d-\d\d |  driver: ", line)]


def alike(shown: str, printed: str) -> bool:
    """Whether two lines say the same: seconds and the last digits differ between machines."""
    if NUMBER.sub("#", " ".join(shown.split())) != NUMBER.sub("#", " ".join(printed.split())):
        return False
    if re.search(r"\bMB\b|\bs\b|time", shown):
        return True
    pairs = zip(*(map(number, NUMBER.findall(line)) for line in (shown, printed)), strict=True)
    return all(there == pytest.approx(here, rel=0.2, abs=0.05) for here, there in pairs)


def number(text: str) -> float:
    return float(text.replace(",", "").rstrip("."))


def test_the_tutorial_prints_what_it_shows(
    local_ray: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", WIDTH)
    steps = STEP.findall(PAGE.read_text())
    assert len(steps) == PAGE.read_text().count("\nrunner ")
    assert len(steps) >= 5
    for command, shown in steps:
        code, out = invoke(*shlex.split(command)[1:])
        assert code == 0, f"{command}\n{out}"
        left = missing(shown.splitlines(), lines_of(out, tmp_path))
        told = [line for line in shown.splitlines() if is_sentence(line)]
        assert not [line for line in left if not is_sentence(line)], f"{command}\n{out}"
        # A verdict is by intervals: on another processor one may just touch what it did not here.
        assert len(left) <= len(told) / 3, f"{command}\n{left}\n{out}"


def is_sentence(line: str) -> bool:
    """Whether a line is of the sentences above the table."""
    return len(line) > 60 and not line.startswith(" ")


def missing(shown: list[str], printed: list[str]) -> list[str]:
    """The lines of some that are not printed in their order."""
    at, left = 0, []
    for line in shown:
        found = [i for i, other in enumerate(printed) if i >= at and alike(line, other)]
        at, left = (found[0] + 1, left) if found else (at, [*left, line])
    return left


def rewritten(page: str, run: Callable[[str], list[str]]) -> str:
    """The page with what its commands print now."""

    def step(found: re.Match[str]) -> str:
        told = "".join(f"{line}\n" for line in run(found[1]))
        return f"```bash\n{found[1]}\n```\n\n```text\n{told}```"

    return STEP.sub(step, page)


def main() -> None:
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made).resolve()
        env = without_ray() | {"COLUMNS": WIDTH, "PYTHONPATH": str(HOUSE), "OMP_NUM_THREADS": "1"}

        def run(command: str) -> list[str]:
            words = [sys.executable, "-m", *shlex.split(command)]
            done = subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            return lines_of(done.stdout, folder)

        PAGE.write_text(rewritten(PAGE.read_text(), run))


if __name__ == "__main__":
    main()
