"""The record of shipped source: what is in it as it stands there, the versions stand for.

`python -m runner.code.record` writes it anew. See "A commit" in CONTRIBUTING.md.
"""

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from runner.code._digests import DIGITS, source_at
from runner.code._imports import SHIPPED, closure

FILE = Path(__file__).with_name("shipped.json")
HOUSE = Path(__file__).parents[2]


class Decides(NamedTuple):
    """What a shipped file may decide, and the constant that is raised when it does so anew."""

    what: str
    version: str  # its name, and the file that has it
    engine: tuple[str, ...]  # files and folders that decide it whatever a configuration names
    named: tuple[str, ...] = ()  # folders of what a configuration may name

    def engine_modules(self) -> frozenset[str]:
        """Return the modules that always decide it."""
        return frozenset(module_of(path) for each in self.engine for path in _files(each))

    def files(self) -> set[str]:
        """Return every shipped file that may decide it: also what a named class imports of ours."""
        named = [module_of(path) for each in self.named for path in _files(each)]
        taken = closure(named, lambda module: module.name.partition(".")[0] in SHIPPED)
        return {path for each in self.engine for path in _files(each)} | {
            module.told for module in taken.values() if module.path
        }


SEEDS = ("runner/storage/ids.py",)
IMAGES = ("runner/data/__init__.py", "runner/data/_views.py")
STAGES = {
    "weights": Decides(
        "weights",
        "WEIGHTS_VERSION in runner/plan/plan.py",
        ("runner/train", "runner/norms", *IMAGES, *SEEDS),
        ("attacks/evasion", "defenses", "runner/models"),
    ),
    "answers": Decides(
        "answers",
        "VERSION in runner/experiment/questions.py",
        ("runner/ask/answers.py", "runner/storage/answers.py", *IMAGES, *SEEDS),
        ("attacks/evasion",),
    ),
    "robustness": Decides(
        "what is answered under attack",
        "ROBUSTNESS_VERSION in runner/experiment/questions.py",
        ("runner/ask/robustness.py", "runner/storage/answers.py", *IMAGES, *SEEDS),
        ("attacks/evasion",),
    ),
    "scores": Decides(
        "scores",
        "SCORES_VERSION in runner/plan/subject.py",
        (
            *(f"runner/audit/{name}.py" for name in ("scores", "_blocks", "_scoring", "_targets")),
            *("runner/audit/_packed.py", "runner/audit/_tasks.py"),
            *(f"runner/plan/{name}.py" for name in ("circles", "shadows")),
            *("runner/storage/scores.py", "runner/storage/answers.py"),
            *SEEDS,
        ),
        ("attacks/membership",),
    ),
    "judged": Decides(
        "what is judged of scores",
        "JUDGED_VERSION in runner/audit/judge.py",
        (
            *(f"runner/audit/{name}.py" for name in ("judge", "judged", "_of_target", "_pooled")),
            *(f"runner/audit/{name}.py" for name in ("_passes", "_several", "_packed", "_tasks")),
            "runner/storage/scores.py",
            *(f"runner/statistics/{name}.py" for name in ("metrics", "ranked", "resampling")),
            *SEEDS,
        ),
    ),
    "converted": Decides(
        "converted answers",
        "VERSION in runner/foreign/converting.py",
        tuple(f"runner/foreign/{n}.py" for n in ("converting", "answered", "reading", "_numbers")),
    ),
}


def decides() -> Mapping[str, str]:
    """Return the digest of each shipped file that decides something, by its path."""
    return _record()["decides"]


def others() -> Mapping[str, str]:
    """Return the shipped files that decide nothing, or whose facts stand in ids."""
    return _record()["others"]


@cache
def _record() -> dict[str, dict[str, str]]:
    return json.loads(FILE.read_text())


def module_of(path: str) -> str:
    """Return the dotted name of a file."""
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def recorded() -> dict[str, dict[str, str]]:
    """Return what the record of this tree is."""
    every = {path for package in SHIPPED for path in _files(package)}
    deciding = {path for stage in STAGES.values() for path in stage.files()} & every
    return {
        "decides": {path: source_at(HOUSE / path).digest for path in sorted(deciding)},
        "others": dict.fromkeys(sorted(every - deciding), ""),
    }


@cache
def digest_of_ours() -> str:
    """Return a digest of all our source, as this process first saw it: which code this is."""
    found = hashlib.sha256()
    for path in (path for package in SHIPPED for path in _files(package)):
        found.update(path.encode() + (HOUSE / path).read_bytes())
    return found.hexdigest()[: DIGITS - 4]


def code_facts(deciding: Mapping[str, Mapping[str, str]] | None = None) -> dict[str, Any]:
    """Return which code this is, as JSON: the digest of all of ours, and what else decides.

    Args:
        deciding: by stage, what decides it beside the versions: digests by name.
    """
    every = [
        {"stage": stage, "name": name, "digest": digest}
        for stage, files in (deciding or {}).items()
        for name, digest in files.items()
    ]
    return {"digest": digest_of_ours(), "deciding": every}


def _files(path: str) -> list[str]:
    """A file, or all source below a folder, as paths from the top of the house."""
    at = HOUSE / path
    found = sorted(at.rglob("*.py")) if at.is_dir() else [at]
    return [file.relative_to(HOUSE).as_posix() for file in found]


if __name__ == "__main__":
    FILE.write_text(json.dumps(recorded(), indent=1) + "\n")
