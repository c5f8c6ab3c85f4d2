"""What a person names of what is stored: a name in a storage, or where it lies; with a way out."""

import difflib
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

from runner.driver import _standing
from runner.driver._standing import ROOMS
from runner.experiment import config
from runner.experiment.config import ConfigError
from runner.storage.cloud import Folder, folder_at
from runner.storage.store import REPORT, RESULTS, SWEPT, TOPS, StorageError, Store

CONFIRMED = "confirmation"  # of a sweep: its recommended setting, measured once more


class Named(NamedTuple):
    """Where the results of something lie that was named."""

    kind: str  # as `runner status` calls it
    name: str
    folder: Folder  # that holds results.json


def find(named: str, storage: Folder | str) -> Named:
    """Return where the results lie of what was named.

    Args:
        named: a name in the storage; or, known by its slash, the folder of an experiment, an audit,
            a sweep or one of its settings, or a file in it: from here, or from the storage.

    Raises:
        StorageError: it is not there, is there twice, or has no results yet.
    """
    at = Store(folder_at(storage))
    if "/" in named:
        return _at_path(named, at)
    if not at.root.exists():
        raise StorageError(f"storage folder {at.root}: not there; name it with --storage FOLDER")
    there = _standing.names(at)
    kinds = [kind for kind, name in there if name == named]
    if not kinds:
        raise StorageError(not_there(at, named, there))
    if len(kinds) > 1:
        rooms = " or ".join(f"{ROOMS[kind]}/{named}" for kind in kinds)
        told = " and ".join(kinds)
        raise StorageError(f"{named!r} is the name of {told} in {at.root}; say {rooms}")
    return _with_results(kinds[0], named, at.root / ROOMS[kinds[0]] / named)


def report_of(named: str, storage: Folder | str) -> Folder:
    """Return the folder of a report that is there already, of what was named as in `find`.

    Of a sweep it is that of the whole search.

    Raises:
        StorageError: nothing of that name has a report, or several things have.
    """
    at = Store(folder_at(storage))
    if "/" in named:
        tried = [folder_at(named.rstrip("/")), at.root / named.rstrip("/")]
    else:
        tried = [at.root / room / named for room in ROOMS.values()]
    written = {str(folder): folder / REPORT for folder in tried if _has_report(folder)}
    if not written:
        told = not_there(at, named, _standing.names(at) if at.root.exists() else [])
        raise StorageError(f"{named}: no report/index.html of it is there; {told}")
    if len(written) > 1:
        raise StorageError(f"{named!r} is several things: say {' or '.join(written)}")
    return next(iter(written.values()))


def name_of(named: str) -> str:
    """Return what a configuration calls itself; what is no configuration is taken as it is.

    Raises:
        ConfigError: it is one, by its ending, and cannot be read.
    """
    try:
        data, _ = config.read(config.locate(named), [])
    except ConfigError:
        if named.endswith((".yaml", ".yml")):
            raise
        return named
    return str(data.get("name", named))


def not_there(at: Store, missing: str, there: Sequence[tuple[str, str]]) -> str:
    """Return what to say of a name that a storage does not have: the nearest, and what there is."""
    names = list(dict.fromkeys(name for _, name in there))
    near = difflib.get_close_matches(missing, names, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    told = ", ".join(sorted(names)) or "nothing"
    return (
        f"{at.root} has no experiment, sweep or audit {missing!r}; {hint}it has {told}; --storage "
        "names another storage"
    )


def _at_path(named: str, at: Store) -> Named:
    """What lies at a path, from here or from the storage; a file stands for its folder."""
    path = folder_at(named.rstrip("/"))
    tried = [path] if "://" in named else [path, at.root / named.rstrip("/")]
    for folder in (above for one in tried for above in (one, *[*one.parents][:2])):
        if (folder / RESULTS).is_file() or (folder / SWEPT).is_file():
            inside = PurePosixPath(str(path)).name
            if folder in tried or inside in (RESULTS, SWEPT, REPORT, "index.html"):
                return _with_results(_kind(folder), folder.name, folder)
    raise StorageError(
        f"{named}: no results.json and no sweep.json there; name the folder of an experiment, an "
        "audit or a sweep that has one (`runner list` has their names)"
    )


def _has_report(folder: Folder) -> bool:
    return (folder / REPORT / "index.html").is_file()


def _kind(folder: Folder) -> str:
    rooms = {room: kind for kind, room in ROOMS.items()}
    if folder.parent.name in rooms:
        return rooms[folder.parent.name]
    return "setting" if "sweeps" in {above.name for above in folder.parents} else "experiment"


def _with_results(kind: str, name: str, folder: Folder) -> Named:
    """Of a sweep its recommended setting, as it was measured once more."""
    if kind != "sweep":
        if not (folder / RESULTS).is_file():
            raise StorageError(
                f"{name}: it has no results yet; `runner status {name}` says how it stands"
            )
        return Named(kind, name, folder)
    if not (folder / CONFIRMED / RESULTS).is_file():
        raise StorageError(
            f"{name}: this sweep recommends no setting that was measured once more; name one of "
            f"its settings by its folder, such as {folder}/trials/ID/m0008"
        )
    return Named(kind, name, folder / CONFIRMED)


def storage_of(folder: Folder) -> Store | None:
    """Return the storage that a folder lies in; None where it lies in none."""
    for above in folder.parents:
        if above.name in TOPS:
            return Store(above.parent)
    return None
