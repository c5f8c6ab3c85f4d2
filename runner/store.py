"""Every path and every write. What is not finished never looks finished.

<root>/runs/<run id>/{run.json, model.safetensors, epochs.jsonl, events.out.tfevents.*, DONE}
<root>/runs/<run id>/answers/<question id>/{answers.parquet, DONE}
<root>/runs/<run id>/robustness/<attack id>/{robustness.parquet, DONE}
<root>/experiments/<name>/{experiment.json, member.parquet, scores/, results.json, report/}
<root>/audits/<name>/{answers/<file>/{answers.parquet, DONE}, scores/, judged/, report/}
<root>/sweeps/<name>/{sweep.json, trials.csv, recommended.yaml, trials/, confirmation/, report/}
"""

import hashlib
import json
import os
import shutil
import tempfile
import uuid
from pathlib import Path
from typing import Any, NamedTuple

DONE = "DONE"
OWNERS = (
    "runs",
    "answers",
    "robustness",
    "scores",
    "judged",
)  # whose folders are finished each by itself


class Corrupt(ValueError):
    """A file that is not what it was written as. It is set aside and made again."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path, self.reason = path, reason

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


class StorageError(ValueError):
    """The storage folder cannot be used; the message says why and what to do."""


class Store(NamedTuple):
    """The storage folder: an absolute path that every worker sees."""

    root: Path

    def run(self, run_id: str) -> Path:
        return self.root / "runs" / run_id

    def answers(self, run_id: str, question_id: str) -> Path:
        return self.run(run_id) / "answers" / question_id

    def robustness(self, run_id: str, attack_id: str) -> Path:
        return self.run(run_id) / "robustness" / attack_id

    def experiment(self, name: str) -> Path:
        return self.root / "experiments" / name

    def audit(self, name: str) -> Path:
        return self.root / "audits" / name

    def sweep(self, name: str) -> Path:
        return self.root / "sweeps" / name

    def check_writable(self) -> None:
        """Make the folders that runs and experiments lie in, and try to write there.

        Raises:
            StorageError: the folder cannot be made or written.
        """
        try:
            for folder in (self.root / "runs", self.root / "experiments"):
                folder.mkdir(parents=True, exist_ok=True)
                with tempfile.TemporaryFile(dir=folder) as probe:
                    probe.write(b"probe")
        except OSError as error:
            raise StorageError(
                f"storage folder {self.root}: {error.strerror or error}; "
                "name another with --storage FOLDER"
            ) from None


def write(path: Path, content: bytes) -> None:
    """Write a file aside and rename it into place, so that readers see all of it or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        with aside.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def write_sealed(path: Path, content: bytes) -> None:
    """Write a file behind its own hash, for files that stand in no finished folder yet."""
    write(path, hashlib.sha256(content).digest() + content)


def read_sealed(path: Path) -> bytes:
    """Return what `write_sealed` wrote.

    Raises:
        Corrupt: it is not, byte for byte, what was written.
        FileNotFoundError: there is no such file.
    """
    sealed = path.read_bytes()
    seal, content = sealed[:32], sealed[32:]
    if hashlib.sha256(content).digest() != seal:
        raise Corrupt(str(path), "its checksum is not the one it was written with")
    return content


def write_json(path: Path, facts: object) -> None:
    """Write JSON for people to read: indented, the keys in the order given."""
    write(path, (json.dumps(facts, indent=1) + "\n").encode())


def finish(folder: Path, files: list[str], facts: dict[str, Any]) -> None:
    """Mark a folder done: the sizes and hashes of its files, and a few facts to read back."""
    sums = {name: _sum((folder / name).read_bytes()) for name in files}
    write_json(folder / DONE, {"files": sums, "facts": facts})


def facts(folder: Path) -> dict[str, Any] | None:
    """Return the facts of a finished folder, or None if it is not finished.

    Raises:
        Corrupt: it is marked done, but a file is missing, or not of the size it had.
    """
    try:
        done = json.loads((folder / DONE).read_bytes())
        sizes = {name: size for name, (size, _) in done["files"].items()}
        found_facts = dict(done["facts"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        raise Corrupt(str(folder / DONE), "not the JSON that was written") from None
    for name, size in sizes.items():
        path = folder / name
        found = path.stat().st_size if path.is_file() else None
        if found != size:
            raise Corrupt(str(path), f"{size} bytes were written, {found or 0} are there")
    return found_facts


def read(folder: Path, name: str) -> bytes:
    """Return a file of a finished folder.

    Raises:
        Corrupt: it is not, byte for byte, what was written.
    """
    if facts(folder) is None:
        raise Corrupt(str(folder / name), f"its folder has no {DONE}")
    content = (folder / name).read_bytes()
    if _sum(content) != json.loads((folder / DONE).read_bytes())["files"][name]:
        raise Corrupt(str(folder / name), "its checksum is not the one it was written with")
    return content


def set_aside(path: Path) -> Path | None:
    """Rename the finished folder that a corrupt file belongs to, so that it is made again.

    Returns:
        Its new name; None where it is not there any more, or is being made again: others who share
        it saw the same and were quicker. What it lies in, such as its model, is left alone.
    """
    folder = next((f for f in (path, *path.parents) if f.parent.name in OWNERS), None)
    if folder is None:
        folder = next((f for f in path.parents if (f / DONE).exists()), path.parent)
    if not (folder / DONE).exists():
        return None
    for n in range(1, 1000):
        aside = folder.with_name(f"{folder.name}.corrupt-{n}")
        if not aside.exists():
            try:
                shutil.move(folder, aside)
            except FileNotFoundError:
                return None
            return aside
    raise StorageError(f"{folder} was found corrupt 999 times; look at the disk, remove the copies")


def _sum(content: bytes) -> list[int | str]:
    return [len(content), hashlib.sha256(content).hexdigest()]
