"""What lies in a tree: arrays by shape and kind, tables, texts, and what is never opened."""

import zipfile
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np

from runner.faults import BadAnswers
from runner.foreign.reading import readable

PICKLES = (".pkl", ".pickle", ".joblib", ".p", ".dill")
TENSORS = (".pt", ".pth")
TABLES = (".parquet", ".csv", ".arrow", ".feather")
TEXTS = (".txt", ".json")
MOST = 200_000  # entries of a tree that are looked at


class Array(NamedTuple):
    """An array of a tree, of which no more than the header has been read."""

    place: str  # in the tree, as a/b.npy, or a/b.npz/key
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    path: Path
    load: Callable[[], np.ndarray]  # .npy and .pt: mapped into memory, not read

    @property
    def parts(self) -> tuple[str, ...]:
        """Its place without endings, a folder a part."""
        *folders, last = PurePosixPath(self.place).parts
        return (*(_stem(part) for part in folders), _stem(last))

    @property
    def of_numbers(self) -> bool:
        """Whether it may hold answers."""
        return self.dtype.kind == "f" and self.shape != ()


class Tree(NamedTuple):
    """A folder of somebody else's, and what is in it; places are relative to it."""

    root: Path
    arrays: tuple[Array, ...]
    tables: tuple[str, ...]
    texts: tuple[str, ...]
    pickles: tuple[str, ...]  # with arrays of objects, and tensors that are whole objects
    tensors: tuple[str, ...]  # .pt, not opened yet
    unread: tuple[str, ...]  # what could not be read, each with the reason

    @property
    def told(self) -> str:
        """The tree as a user named it."""
        return str(self.root)

    def path(self, place: str) -> Path:
        """Return where something of the tree lies."""
        return self.root / place if self.root.is_dir() else self.root


def look_at(where: str) -> Tree:
    """Return what lies in a local folder, or what one file is; nothing is unpickled or read.

    Raises:
        BadAnswers: it is not there, or there is no end to it.
    """
    root = Path(where)
    if "://" in where or not root.exists():
        why = "it is a URI" if "://" in where else "there is no such folder"
        raise BadAnswers(where, why, "give the local folder or file that the tool wrote")
    found: dict[str, list[Any]] = {name: [] for name in Tree._fields[1:]}
    for path in _files(root) if root.is_dir() else [root]:
        place = path.relative_to(root).as_posix() if path != root else path.name
        ending = path.suffix.lower()
        if ending in (".npy", ".npz"):
            _headers(path, place, found)
        elif ending in TENSORS:
            found["tensors"].append(place)
        elif ending in PICKLES:
            found["pickles"].append(place)
        elif ending in TABLES:
            found["tables"].append(place)
        elif ending in TEXTS:
            found["texts"].append(place)
    return Tree(root, *(tuple(of) for of in found.values()))


def look_at_file(where: str) -> list[Array]:
    """Return the arrays of one file, .npy, .npz, .pt, .csv or .txt of numbers.

    Raises:
        BadAnswers: it is not there, cannot be read, or holds objects.
    """
    path, ending = Path(where), Path(where).suffix.lower()
    if not path.is_file():
        raise BadAnswers(where, "there is no such file", "check its name")
    found: dict[str, list[Any]] = {name: [] for name in Tree._fields[1:]}
    if ending in (".npy", ".npz"):
        _headers(path, path.name, found)
    elif ending in TENSORS:
        tensor = _tensor(path, path.name)
        return [tensor] if tensor else []
    elif ending in (".csv", ".txt"):
        return [held(path.name, path, csv_numbers(path))]
    else:
        known = ".npy, .npz, .pt, .csv"
        raise BadAnswers(where, f"its name ends on {ending or 'nothing'}", f"give one of {known}")
    if found["pickles"]:
        why, way_out = "it holds objects", "pickled files can run code and are never loaded"
        raise BadAnswers(where, why, way_out)
    if found["unread"]:
        raise BadAnswers(
            where, f"it cannot be read: {found['unread'][0]}", "check that it is whole"
        )
    return found["arrays"]


def csv_numbers(path: Path) -> np.ndarray:
    """Return the numbers of a CSV, without a header if it has one."""
    with readable(str(path)):
        lines = path.read_text().splitlines()
        return np.loadtxt(lines[has_header(lines) :], delimiter=",", ndmin=2)


def has_header(lines: list[str]) -> bool:
    """Whether the first line of a CSV is no numbers."""
    try:
        [float(cell) for cell in lines[0].split(",")]
    except (ValueError, IndexError):
        return True
    return False


def with_tensors(tree: Tree) -> Tree:
    """Return the tree with what .pt files hold that are a tensor; anything else is passed over.

    They are opened by `torch.load(weights_only=True)`, which builds tensors and nothing else.
    """
    arrays, pickled = [], []
    for place in tree.tensors:
        array = _tensor(tree.path(place), place)
        (arrays if isinstance(array, Array) else pickled).append(array or place)
    return tree._replace(
        arrays=(*tree.arrays, *arrays), pickles=(*tree.pickles, *pickled), tensors=()
    )


def held(place: str, path: Path, values: np.ndarray) -> Array:
    """Return an array that has been read already, of a table say."""
    return Array(place, values.shape, values.dtype, path, lambda: values)


def open_array(path: Path) -> np.ndarray:
    """Return a whole .npy file mapped into memory; nothing is unpickled."""
    with readable(str(path)):
        return np.load(path, mmap_mode="r", allow_pickle=False)


def _files(root: Path) -> Iterator[Path]:
    """Every file, sorted by place; what begins with a dot is passed over."""
    entries = 0
    todo = [root]
    while todo:
        folder = todo.pop(0)
        with readable(str(folder)):
            inside = sorted(folder.iterdir(), key=lambda path: path.name)
        entries += len(inside)
        if entries > MOST:
            way_out = "give the folder in which one set of models lies"
            raise BadAnswers(str(root), f"more than {MOST:,} files lie in it", way_out)
        shown = [path for path in inside if not path.name.startswith(".")]
        todo += [path for path in shown if path.is_dir() and not path.is_symlink()]
        yield from (path for path in shown if path.is_file())


def _headers(path: Path, place: str, found: dict[str, list[Any]]) -> None:
    """Note the arrays of a .npy or .npz file by their headers."""
    try:
        if path.suffix.lower() == ".npy":
            each = [(place, *_npy_header(path.open("rb")), partial(open_array, path))]
        else:
            each = list(_npz_headers(path, place))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, RuntimeError) as error:
        found["unread"].append(f"{place} ({(str(error) or repr(error)).splitlines()[0]})")
        return
    for name, shape, dtype, load in each:
        if dtype.hasobject:
            found["pickles"].append(name)
        else:
            found["arrays"].append(Array(name, shape, dtype, path, load))


def _npy_header(file: Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
    with file:
        version = np.lib.format.read_magic(file)
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }.get(version)
        if read is None:
            raise ValueError(f"an .npy of version {version}")
        shape, _, dtype = read(file)
    return shape, dtype


def _npz_headers(path: Path, place: str) -> Iterator[tuple[Any, ...]]:
    with zipfile.ZipFile(path) as whole:
        for member in whole.namelist():
            if member.endswith(".npy"):
                key = member.removesuffix(".npy")
                header = _npy_header(whole.open(member))
                written = path.stat().st_mtime_ns
                yield f"{place}/{key}", *header, partial(_from_npz, path, key, written)


@lru_cache(maxsize=1)  # an array of all models is asked for by each of them
def _from_npz(path: Path, key: str, written: int) -> np.ndarray:
    with readable(str(path)), np.load(path, allow_pickle=False) as arrays:
        return arrays[key]


def _tensor(path: Path, place: str) -> Array | None:
    """The tensor that a file holds; None where it is something else."""
    import pickle

    import torch

    def load() -> np.ndarray:
        tensor = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()

    try:
        with path.open("rb") as file:
            if not zipfile.is_zipfile(file):
                return None
        values = load()
    except (RuntimeError, OSError, ValueError, pickle.UnpicklingError, AttributeError, TypeError):
        return None
    return Array(place, values.shape, values.dtype, path, load)


def _stem(part: str) -> str:
    """A file's name without its ending; 0.5 is no ending."""
    name, dot, ending = part.rpartition(".")
    return name if dot and f".{ending.lower()}" in (".npy", ".npz", *TENSORS, *TABLES) else part
