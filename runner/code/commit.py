"""Which commit the code is of, also where a submitted job brought no more than its name."""

import os
import re
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

from runner.code._imports import SHIPPED

HOUSE = Path(__file__).parents[2]
# Links to files of .git: Ray uploads what links lead to, but never .git itself.
SENT = ".submitted"
# In git's index: how many files a commit of it would have, or -1 where something is staged.
WOULD_COMMIT = re.compile(rb"TREE.{4}\0(-?\d+) ", re.S)


@cache
def git_commit(house: Path = HOUSE) -> str:
    """Return the commit of our code as this process first saw it; "" where there is none to tell.

    It ends in `-dirty` where a file differs from it, is staged, or is neither tracked nor ignored.
    """
    try:
        if (house / SENT / "HEAD").is_file() and not (house / ".git").exists():
            return _of_a_copy(house)
        _git(house, "ls-files", "--error-unmatch", "runner/code/commit.py")  # else it is another's
        told = _git(house, "describe", "--always", "--abbrev=12")
        # Whatever somebody's settings say of untracked files; the links are no code.
        looked = ("status", "--porcelain", "--untracked-files=normal", "--", ".", f":!{SENT}")
        return f"{told}-dirty" if _git(house, *looked) else told
    except (OSError, subprocess.SubprocessError):
        return ""


def _of_a_copy(house: Path) -> str:
    """The commit by the few files of git that a submitted job has: no objects, no configuration."""
    there = {"GIT_DIR": str(house / SENT), "GIT_WORK_TREE": str(house)}
    there["GIT_OBJECT_DIRECTORY"] = str(house)  # git asks that there is one
    told = _git(house, "rev-parse", "--short=12", "HEAD", **there)
    found = WOULD_COMMIT.search((house / SENT / "index").read_bytes())
    staged = found is None or found[1] == b"-1"
    listed = _git(house, "ls-files", "-z", "--modified", "--others", "--exclude-standard", **there)
    changed = [name for name in listed.split("\0") if name and _is_change(house, name)]
    return f"{told}-dirty" if staged or changed else told


def _is_change(house: Path, name: str) -> bool:
    """Whether a file that is not as it was is a change: a job may leave out what is no source."""
    top = name.partition("/")[0]
    return top != SENT and (top in SHIPPED or (house / name).exists())


def _git(house: Path, *words: str, **there: str) -> str:
    """What git says, with these variables; a copy has no modes of files."""
    command = ["git", "--no-optional-locks", "-c", "core.fileMode=false", "-C", str(house), *words]
    options: dict[str, Any] = {"capture_output": True, "text": True, "timeout": 10, "check": True}
    # A hook of git's, and what it starts, has variables that name the repository of the hook.
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return subprocess.run(command, env={**env, **there}, **options).stdout.strip()
