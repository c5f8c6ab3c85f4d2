"""Where an error came from: the lines of the files that users write, and its whole traceback."""

import functools
import json
import sysconfig
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]  # of attacks, defenses and runner, wherever they are installed
OURS = ("attacks", "defenses", "runner")
BESIDE = ("benchmarks", "tests")  # ours, and no part of the package
RECORD = ROOT / "runner" / "code" / "shipped.json"  # of every file that comes with this package
LIBRARIES = {Path(sysconfig.get_path(name)) for name in ("stdlib", "platlib", "purelib")}
SHOWN = 3  # lines at most, the deepest ones


class Failed(ValueError):
    """What code of a user's file raised, as text, so that it can be sent on to other processes."""

    def __init__(self, told: str, trace: str) -> None:
        super().__init__(told, trace)
        self.told, self.trace = told, trace

    def __str__(self) -> str:
        return self.told


def failed(error: BaseException) -> Failed:
    """Return an error as text."""
    return error if isinstance(error, Failed) else Failed(told(error), trace(error))


def told(error: BaseException) -> str:
    """Return what an error says in one line, and where in a user's file it was raised.

    Where no user's file had a part in it, the place is where it was raised.
    """
    if isinstance(error, Failed):
        return error.told
    first = next(iter(message(error).strip().splitlines()), "")
    if isinstance(error, SyntaxError):
        first = error.msg
    return f"{type(error).__name__}: {first}{at(error) or _in_words(_deepest(error))}"


def message(error: BaseException) -> str:
    """Return what an error says, also where it fails to."""
    try:
        return str(error)
    except Exception:
        return "<what it says cannot be read>"


def leaves(error: BaseException) -> bool:
    """Whether a SystemExit is meant: `sys.exit()` in a user's file is a fault like any other."""
    return isinstance(error, SystemExit) and not lines(error)


def at(error: BaseException) -> str:
    """Return in words where in a user's file an error was raised; "" where in none."""
    return _in_words(lines(error))


def lines(error: BaseException) -> list[str]:
    """Return file:line of each file that a user wrote, the deepest last.

    A new defense, attack, data set or network, and what it imports, may lie beside what is shipped;
    other files of a user's are neither in a folder of ours nor an installed library's.
    """
    found: list[tuple[str, int]] = []
    for file, line in _frames(error):
        shown = _own(file)
        if shown and found and found[-1][0] == shown:
            found[-1] = shown, line  # deeper in the same file
        elif shown:
            found.append((shown, line))
    return [f"{file}:{line}" for file, line in found[-SHOWN:]]


def said(error: BaseException) -> str:
    """Return what an error says, in full where a user's file had a part in it."""
    return in_full(error) if lines(error) else message(error)


def trace(error: BaseException) -> str:
    """Return the whole traceback of an error."""
    if isinstance(error, Failed):
        return error.trace
    return "".join(traceback.format_exception(error))


def in_full(error: BaseException) -> str:
    """Return what `told` does, and the file that the whole traceback was written to.

    For errors before anything has begun, which no folder of a storage is there for.
    """
    return f"{told(error)}; the whole traceback: {_kept(trace(error))}"


@functools.lru_cache(maxsize=256)
def _kept(text: str) -> str:
    """The path of a temporary file that holds a text; the same one for the same text."""
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="runner-traceback-", suffix=".txt", delete=False, encoding="utf-8"
        ) as file:
            file.write(text)
            return file.name
    except OSError as error:
        return f"not kept ({error.strerror or error})"


def _frames(error: BaseException) -> list[tuple[str, int]]:
    """The file and line of each frame, outermost first; of a syntax error also where it is.

    What `next` raises of an empty iterator comes out of a generator as another error.
    """
    if isinstance(error, RuntimeError) and isinstance(error.__cause__, StopIteration):
        error = error.__cause__
    found = [
        (frame.filename, frame.lineno or 0) for frame in traceback.extract_tb(error.__traceback__)
    ]
    if isinstance(error, SyntaxError) and error.filename:
        found.append((error.filename, error.lineno or 0))
    return found


def _own(file: str) -> str:
    """What to call a file that a user writes; "" for any other."""
    path = Path(file)
    if file.startswith("<") or not path.is_absolute():
        return ""
    inside = path.relative_to(ROOT) if path.is_relative_to(ROOT) else None
    if inside and inside.parts[0] in OURS:
        return "" if inside.as_posix() in _shipped() else inside.as_posix()
    if inside and inside.parts[0] in BESIDE:
        return ""
    if any(path.is_relative_to(library) for library in LIBRARIES):
        return ""
    return inside.as_posix() if inside else file


@functools.cache
def _shipped() -> frozenset[str]:
    """The files that come with this package, by their paths in it."""
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    return frozenset(path for files in record.values() for path in files)


def _in_words(places: Sequence[str]) -> str:
    return f" (at {', '.join(places)})" if places else ""


def _deepest(error: BaseException) -> list[str]:
    """Where an error was raised: the name of the file, and the line."""
    return [f"{Path(file).name}:{line}" for file, line in _frames(error)[-1:]]
