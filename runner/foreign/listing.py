"""Which files of answers there are, in a local folder or in S3-like storage, and whose."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
from pyarrow import fs

from runner.faults import BadAnswers
from runner.storage.cloud import CloudPath, folder_at, public

ENDINGS = (".parquet", ".npz")
ONLY_ARM = "models"  # where there are no sub-folders


class Located(NamedTuple):
    """A file or a folder, wherever it lies."""

    told: str  # as a user reads it
    filesystem: fs.FileSystem
    path: str  # of the file system


class Given(NamedTuple):
    """One model's file of answers, as it lies there.

    opening: how it is opened, where it is no file of ours (`runner.foreign.reading.Read`).
    understood: a digest of what its numbers were understood as.
    """

    place: Located
    size: int | None  # bytes
    modified: int | None  # nanoseconds of the file system's clock
    changed: int | None = None  # likewise, which no copying keeps; of local files
    called: str = ""  # where the model is not called as its file is
    opening: Callable[[], Any] | None = None
    understood: str = ""

    @property
    def told(self) -> str:
        return self.place.told

    @property
    def name(self) -> str:
        """What the model is called: as its file is, without the ending."""
        return self.called or self.place.path.rpartition("/")[2].rpartition(".")[0]


def locate(where: str) -> Located:
    """Return the place of a local path, or of a URI as `runner.storage.cloud.folder_at` takes them.

    Raises:
        BadAnswers: it is no URI of a file system that is known.
    """
    try:
        at = folder_at(where)
        if isinstance(at, CloudPath):
            return Located(where, at.filesystem, at.key)
    except (pa.ArrowException, OSError, ValueError) as error:
        way_out = "give a local folder or a URI such as s3://bucket/prefix"
        raise BadAnswers(public(where), str(error), way_out) from None
    return Located(where, fs.LocalFileSystem(), str(at))


def listed(where: str, member: str) -> Mapping[str, Sequence[Given]]:
    """Return the files of each arm, in the order of the member matrix's rows: sorted by name.

    Sub-folders with answers are arms; without any there is one, ONLY_ARM. Names that begin with a
    dot or an underscore, other endings, and the member matrix itself are passed over.

    Raises:
        BadAnswers: the folder cannot be listed, or its files cannot be the models of arms.
    """
    root, own = locate(where), locate(member).path
    entries = _entries(root, own)
    files = [entry for entry in entries if entry.type == fs.FileType.File]
    folders = {
        entry.base_name: _files(root._replace(path=entry.path, told=_in(root, entry)), own)
        for entry in entries
        if entry.type == fs.FileType.Directory
    }
    arms = {name: of_arm for name, of_arm in folders.items() if of_arm}
    if files and arms:
        raise BadAnswers(
            root.told,
            f"answers lie in it ({files[0].base_name}) and in sub-folders ({', '.join(arms)})",
            "put each arm's models into a sub-folder of its own, or one arm's into one folder",
        )
    if not files and not arms:
        raise BadAnswers(
            root.told,
            f"no {' or '.join(ENDINGS)} file in it",
            "write one file of answers a model",
        )
    arms = arms or {ONLY_ARM: files}
    found = {name: _models(root, name, of_arm) for name, of_arm in arms.items()}
    first, *others = found
    for other in others:
        if len(found[other]) != len(found[first]):
            raise BadAnswers(
                root.told,
                f"{len(found[first])} files in {first} and {len(found[other])} in {other}",
                "arms have the same models, trained on the same members: a file a model in each",
            )
    for one, other in combinations(found, 2):
        if _alike(one) == _alike(other):
            raise BadAnswers(
                root.told,
                f"sub-folders {one} and {other} are called alike but for case or the code of "
                "accents, and some disks take them for one",
                "rename one of them",
            )
        _check_names(root, one, other, found)
    return found


def _alike(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _check_names(root: Located, one: str, other: str, found: Mapping[str, Sequence[Given]]) -> None:
    """Refuse arms of which some files are called alike and others are not: they would be paired."""
    names, others = ({given.name for given in found[arm]} for arm in (one, other))
    if names & others and names != others:
        raise BadAnswers(
            root.told,
            f"{min(names - others)} is in {one} and not in {other}, {min(others - names)} in "
            f"{other} and not in {one}",
            "arms have the same models: call each one's file alike in all of them",
        )


def _entries(place: Located, own: str) -> list[fs.FileInfo]:
    """What counts in a folder, sorted by name."""
    try:
        entries = place.filesystem.get_file_info(fs.FileSelector(place.path))
    except (pa.ArrowException, OSError) as error:
        raise BadAnswers(
            place.told, f"it cannot be listed ({error})", "check its name and your access to it"
        ) from None
    shown = [e for e in entries if e.base_name[:1] not in (".", "_") and e.path != own]
    kept = [e for e in shown if e.type == fs.FileType.Directory or _is_answers(e)]
    return sorted(kept, key=lambda entry: entry.base_name)


def _is_answers(entry: fs.FileInfo) -> bool:
    return entry.base_name.lower().endswith(ENDINGS)


def _files(place: Located, own: str) -> list[fs.FileInfo]:
    return [entry for entry in _entries(place, own) if entry.type == fs.FileType.File]


def _models(root: Located, arm: str, files: Sequence[fs.FileInfo]) -> list[Given]:
    """The files of one arm, or why they have no order."""
    told = root.told if arm == ONLY_ARM else f"{root.told}/{arm}"
    names = [file.base_name for file in files]
    stems = [name.rpartition(".")[0] for name in names]
    if len(set(stems)) < len(stems):
        twice = next(stem for stem in stems if stems.count(stem) > 1)
        raise BadAnswers(told, f"{twice} is there twice, with two endings", "keep one of them")
    _check_order(told, names)
    places = [root._replace(told=_in(root, file), path=file.path) for file in files]
    return [
        Given(place, file.size, file.mtime_ns, _changed(place))
        for place, file in zip(places, files, strict=True)
    ]


def _check_order(told: str, names: Sequence[str]) -> None:
    """Refuse names whose order is another one by their numbers."""
    counted = in_order(names)
    if counted != list(names):
        at = next(i for i, name in enumerate(names) if name != counted[i])
        raise BadAnswers(
            told,
            f"files sorted by name are the rows of the member matrix, which makes {names[at]} row "
            f"{at}, though by its number {counted[at]} is",
            "write numbers with leading zeros, such as model_007",
        )


def _changed(place: Located) -> int | None:
    """When a local file was last changed: `cp -p` and `rsync -t` set when it was modified."""
    is_local = isinstance(place.filesystem, fs.LocalFileSystem)
    return Path(place.path).stat().st_ctime_ns if is_local else None


def as_models(arms: Mapping[str, Sequence[Given]], told: str) -> Mapping[str, Sequence[Given]]:
    """Return folders with one file each as the models of one arm, called as the folders are.

    Raises:
        BadAnswers: their names have no order.
    """
    _check_order(told, list(arms))
    return {ONLY_ARM: [of._replace(called=name) for name, (of,) in arms.items()]}


def in_order(names: Iterable[str]) -> list[str]:
    """Return names by their numbers; of one length, such as hashes, by the letters as they are."""
    some = sorted(names)
    return some if len(set(map(len, some))) == 1 else sorted(some, key=by_number)


def by_number(name: str) -> list[tuple[int, str]]:
    """Return a key that sorts numbers in names as numbers."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def _in(root: Located, entry: fs.FileInfo) -> str:
    """What lies in a folder as a user reads it: options of a URI are no part of a name."""
    base, _, _ = root.told.partition("?")
    return f"{base.rstrip('/')}/{entry.path.removeprefix(root.path).lstrip('/')}"
