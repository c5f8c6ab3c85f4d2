"""Every folder of a storage, and every write. What is not finished never looks finished.

<root>/runs/<run id>/{run.json, model.safetensors, best.safetensors, epochs.jsonl, DONE, ...}
<root>/runs/<run id>/answers/<question id>/{answers.parquet, DONE}
<root>/runs/<run id>/robustness/<attack id>/{robustness.parquet, DONE}
<root>/experiments/<name>/{experiment.json, member.parquet, results.json, report/, ...}
<root>/experiments/<name>/{scores/<digest>/, judged/<digest>/}, each with its DONE
<root>/audits/<name>/{answers/<file>/, scores/, judged/, results.json, report/, ...}
<root>/sweeps/<name>/{sweep.json, trials.csv, trials/<id>/m<models>/, report/, ...}

docs/store.md has all of it: also what is there only while somebody is at work, such as LOCK,
driver.json and checkpoint.pt. A name that two files must know stands here; one that a single file
writes and reads, there.
"""

import contextlib
import errno
import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from runner.storage.cloud import Away, CloudPath, Folder, StorageError, folder_at

DONE = "DONE"
ANSWERS, ROBUSTNESS = "answers.parquet", "robustness.parquet"  # of a model
LOSS_TRACE = "loss_trace.parquet"  # of its training
DESCRIBED, MEMBERS = "experiment.json", "member.parquet"  # of an experiment
POOL, TEST = "pool.parquet", "test.parquet"  # who the examples of an experiment are
RESULTS = "results.json"  # of an experiment, an audit, or one setting of a sweep
SWEPT = "sweep.json"
REPORT = "report"
TRACEBACK = "traceback.txt"  # beside what could not be made
LASTING = (errno.ENOSPC, errno.EDQUOT, errno.EPIPE)  # the last: nobody reads what is printed
PATIENCE_S = 300.0  # for a storage that is away to come back
TOPS = ("runs", "experiments", "audits", "sweeps")  # right below the storage folder
OWNERS = (
    "runs",
    "answers",
    "robustness",
    "scores",
    "judged",
)  # whose folders are finished each by itself


class Corrupt(ValueError):
    """A file that is not what it was written as. It is set aside and made again."""

    begun = False  # as of a UserFault

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path, self.reason = path, reason

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


class Store(NamedTuple):
    """The storage: an absolute path that every worker sees, or a place in the cloud."""

    root: Folder

    def run(self, run_id: str) -> Folder:
        return self.root / "runs" / run_id

    def answers(self, run_id: str, question_id: str) -> Folder:
        return self.run(run_id) / "answers" / question_id

    def answers_file(self, run_id: str, question_id: str) -> Folder:
        return self.answers(run_id, question_id) / ANSWERS

    def robustness(self, run_id: str, attack_id: str) -> Folder:
        return self.run(run_id) / "robustness" / attack_id

    def robustness_file(self, run_id: str, attack_id: str) -> Folder:
        return self.robustness(run_id, attack_id) / ROBUSTNESS

    def experiment(self, name: str) -> Folder:
        return self.root / "experiments" / name

    def audit(self, name: str) -> Folder:
        return self.root / "audits" / name

    def sweep(self, name: str) -> Folder:
        return self.root / "sweeps" / name

    def probe(self) -> None:
        """Write a file where models lie, and remove it again.

        Raises:
            OSError: the storage is away, or cannot be written.
        """
        _probe(self.root / "runs" / f".probe-{uuid.uuid4().hex[:8]}")

    def comes_back(self, leave: Callable[[], object] = lambda: False) -> bool:
        """Return whether the storage can be written, now or within PATIENCE_S.

        Args:
            leave: asked every second; wait no longer if it is true.
        """
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            try:
                self.probe()
                return True
            except OSError:
                if leave():
                    return False
            time.sleep(1.0)
        return False

    def check_usable(self, writing: bool = True) -> None:
        """Refuse a folder that cannot be made or written, and make nothing.

        Args:
            writing: False: it may be one that can only be read, or that is to come.

        Raises:
            StorageError: says why.
        """
        if isinstance(self.root, CloudPath):
            if writing:
                self.check_writable()
            return
        for top in (self.root / top for top in TOPS):
            there = next(path for path in (top, *top.parents) if os.path.lexists(path))
            if not there.is_dir():
                raise self._unusable(f"{there} is no folder")
            if writing and not os.access(there, os.W_OK | os.X_OK):
                raise self._unusable(f"{there} cannot be written")

    def check_writable(self) -> None:
        """Make the folders that everything lies in, and try to write there.

        Raises:
            StorageError: the folder cannot be made or written; what was made is gone again.
        """
        if isinstance(self.root, CloudPath):
            try:
                _probe(self.root / f".probe-{uuid.uuid4().hex[:8]}")
            except OSError as error:
                raise self._unusable(error.strerror or str(error)) from None
            return
        tops = [self.root / top for top in TOPS]
        new = {path for top in tops for path in (top, *top.parents) if not path.exists()}
        try:
            for folder in tops:
                folder.mkdir(parents=True, exist_ok=True)
            self.probe()
        except OSError as error:
            for path in sorted(new, reverse=True):  # the deepest first
                with contextlib.suppress(OSError):
                    path.rmdir()
            raise self._unusable(error.strerror or str(error)) from None

    def _unusable(self, why: str) -> StorageError:
        return StorageError(
            f"storage folder {self.root}: {why}; name another with --storage FOLDER"
        )


def scores_at(home: Folder, name: str) -> Folder:
    """Return a folder of scores, below that of somebody's results."""
    return home / "scores" / name


def judged_at(home: Folder, name: str) -> Folder:
    """Return the folder of what scores say of each target."""
    return home / "judged" / name


def trial_at(home: Folder, setting: str, rung: int) -> Folder:
    """Return the folder of a sweep's setting with so many models."""
    return home / "trials" / setting / f"m{rung:04d}"


def page_at(home: Folder) -> Folder:
    """Return the page that one reads first."""
    return home / REPORT / "index.html"


def may_pass(error: BaseException) -> bool:
    """Return whether a storage may get over an error by itself; a full one does not."""
    return isinstance(error, OSError) and error.errno not in LASTING


def write(path: Folder, content: bytes) -> None:
    """Write a file so that readers see all of it or nothing: aside and renamed, or by one put.

    Raises:
        Away: the storage is not there; nothing is made in its place.
    """
    if isinstance(path, CloudPath):
        path.put(content)
        return
    if not path.parent.is_dir():
        check_there(path)
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


def check_there(path: Folder) -> None:
    """Refuse a path below a storage folder that is not there; other paths pass.

    A share that is not mounted leaves an empty folder: what is missing in it is not to be made
    again, nor taken for unfinished. A storage folder is known by the folders that every command
    makes in it, since a name such as `runs` may stand anywhere in a path.

    Raises:
        Away: it is not there.
    """
    if isinstance(path, CloudPath):
        return  # its client tells the one from the other
    tops = [folder for folder in path.parents if folder.name in TOPS]
    if tops and not any(all((top.with_name(n)).is_dir() for n in TOPS) for top in tops):
        root = tops[0].parent
        raise Away(errno.ENOENT, "the storage folder is not there; is it mounted?", str(root))


def write_sealed(path: Folder, content: bytes) -> None:
    """Write a file behind its own hash, for files that stand in no finished folder yet."""
    write(path, hashlib.sha256(content).digest() + content)


def read_sealed(path: Folder) -> bytes:
    """Return what `write_sealed` wrote.

    Raises:
        Corrupt: it is not, byte for byte, what was written.
        FileNotFoundError: there is no such file.
        Away: nor is there the storage.
    """
    try:
        sealed = path.read_bytes()
    except FileNotFoundError:
        check_there(path)
        raise
    seal, content = sealed[:32], sealed[32:]
    if hashlib.sha256(content).digest() != seal:
        raise Corrupt(str(path), "its checksum is not the one it was written with")
    return content


def keep_traceback(folder: Folder, trace: str) -> str:
    """Write why something could not be made into its folder, and return in words where; "" if not.

    Nothing is raised: what went wrong may be the storage.
    """
    try:
        write(folder / TRACEBACK, trace.encode())
    except OSError:
        return ""
    return f"the whole traceback: {folder / TRACEBACK}"


def write_json(path: Folder, facts: object) -> None:
    """Write JSON for people to read: indented, the keys in the order given."""
    write(path, (json.dumps(facts, indent=1) + "\n").encode())


def results_in(path: Folder) -> dict[str, Any]:
    """Return what a results.json holds, or any JSON that was written beside it.

    Raises:
        StorageError: it is not the JSON that was written.
    """
    try:
        found = json.loads(path.read_bytes())
    except ValueError as error:
        raise StorageError(
            f"{path}: not the JSON that was written ({error}); `runner report` writes it anew"
        ) from None
    return found if isinstance(found, dict) else {}


def finish(folder: Folder, files: Sequence[str], facts: dict[str, Any]) -> None:
    """Mark a folder done: the sizes and hashes of its files, and a few facts to read back."""
    sums = {name: _sum((folder / name).read_bytes()) for name in files}
    write_json(folder / DONE, {"files": sums, "facts": facts})


def facts(folder: Folder) -> dict[str, Any] | None:
    """Return the facts of a finished folder, or None if it is not finished.

    Raises:
        Corrupt: it is marked done, but a file is missing, or not of the size it had.
        Away: the storage is not there.
    """
    done = _done(folder)
    return dict(done["facts"]) if done else None


def read(folder: Folder, name: str) -> bytes:
    """Return a file of a finished folder.

    Raises:
        Corrupt: it is not, byte for byte, what was written.
        Away: the storage is not there.
    """
    done = _done(folder)
    if done is None:
        raise Corrupt(str(folder / name), f"its folder has no {DONE}")
    content = (folder / name).read_bytes()
    if _sum(content) != done["files"][name]:
        raise Corrupt(str(folder / name), "its checksum is not the one it was written with")
    return content


def set_aside(path: Folder | str) -> Folder | None:
    """Rename the finished folder that a corrupt file belongs to, so that it is made again.

    Args:
        path: also as `Corrupt` has it.

    Returns:
        Its new name; None where it is not there any more, or is being made again: others who share
        it saw the same and were quicker. What it lies in, such as its model, is left alone.
    """
    path = folder_at(path)
    folder = next((f for f in (path, *path.parents) if f.parent.name in OWNERS), None)
    if folder is None:
        folder = next((f for f in path.parents if (f / DONE).exists()), path.parent)
    if not (folder / DONE).exists():
        return None
    for n in range(1, 1000):
        aside = folder.with_name(f"{folder.name}.corrupt-{n}")
        if not aside.exists():
            try:
                _move_folder(folder, aside)
            except FileNotFoundError:
                return None
            return aside
    raise StorageError(f"{folder} was found corrupt 999 times; look at the disk, remove the copies")


def move(path: Folder, to: Folder) -> None:
    """Give a file another name in its storage; what is there by that name goes."""
    if isinstance(path, CloudPath) and isinstance(to, CloudPath):
        path.copy(to)
        path.unlink(missing_ok=True)
    else:
        os.replace(str(path), str(to))


def remove(folder: Folder) -> None:
    """Remove a folder with all that is in it, if it is there."""
    if isinstance(folder, CloudPath):
        for path in _marks_first(folder):
            path.unlink(missing_ok=True)
    else:
        shutil.rmtree(folder, ignore_errors=True)


def write_folder(source: Path, to: Folder) -> None:
    """Write all files of a local folder, for what others write and the store cannot."""
    for path in sorted(source.rglob("*")):
        if path.is_file():
            write(to / path.relative_to(source).as_posix(), path.read_bytes())


def fill(folder: Folder, files: Mapping[str, bytes | None]) -> None:
    """Write files by name; one that is None is removed where an earlier writing left it."""
    for name, content in files.items():
        if content is None:
            (folder / name).unlink(missing_ok=True)
        else:
            write(folder / name, content)


def _done(folder: Folder) -> dict[str, Any] | None:
    """What DONE says, if the files that it names have the sizes that it says."""
    try:
        done = json.loads((folder / DONE).read_bytes())
        sizes = {name: size for name, (size, _) in done["files"].items()}
        dict(done["facts"])
    except FileNotFoundError:
        check_there(folder)
        return None
    except (ValueError, KeyError, TypeError):
        raise Corrupt(str(folder / DONE), "not the JSON that was written") from None
    for name, found in zip(sizes, _sizes(folder, [*sizes]), strict=True):
        if found != sizes[name]:
            reason = f"{sizes[name]} bytes were written, {found or 0} are there"
            raise Corrupt(str(folder / name), reason)
    return done


def _sizes(folder: Folder, names: Sequence[str]) -> list[int | None]:
    """The bytes of files; None where there is none."""
    if isinstance(folder, CloudPath):
        return folder.sizes(names)
    paths = [folder / name for name in names]
    return [path.stat().st_size if path.is_file() else None for path in paths]


def _move_folder(folder: Folder, aside: Folder) -> None:
    """Rename a folder, or where that cannot be, copy it: unfinished from the first moment on.

    Two who do it at the same time copy the same bytes to the same place. What somebody begins to
    make again meanwhile may be taken along; its DONE then names files that are not there.
    """
    if isinstance(folder, CloudPath):
        for path in _marks_first(folder):
            move(path, aside / path.relative_to(folder))
    else:
        shutil.move(str(folder), str(aside))


def _marks_first(folder: CloudPath) -> list[CloudPath]:
    """Its files, all DONE before what they vouch for."""
    return sorted(folder.files(), key=lambda path: (path.name != DONE, path))


def _probe(path: Folder) -> None:
    """Write, read and remove a file."""
    write(path, b"probe")
    if path.read_bytes() != b"probe":
        raise OSError(errno.EIO, "what was written there is not what is read")
    path.unlink()


def _sum(content: bytes) -> list[int | str]:
    return [len(content), hashlib.sha256(content).hexdigest()]
