"""Digests of source by what it does, and of files by their bytes."""

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from runner.code._texts import texts_in

WITH_DOCSTRING = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
DIGITS = 16  # of a SHA-256, in hex
CHUNK = 1 << 24  # bytes of a file at a time


class Source(NamedTuple):
    """What is known of a file of Python."""

    digest: str
    imports: tuple[tuple[str, int], ...]  # as written, with the number of leading dots
    texts: frozenset[str]  # every text in it that may name a file, or a folder of one


@cache
def source_at(path: Path) -> Source:
    """Return what a file of Python says, as it was when this process first asked.

    That is when its module was imported, or a moment later: what is edited afterwards is not what
    this process runs. Comments, docstrings and layout are no part of the digest, and the versions
    of Python that the project runs on agree on it. What cannot be parsed, such as a compiled
    module, counts by its bytes.
    """
    content = path.read_bytes()
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError):
        return Source(hashlib.sha256(content).hexdigest()[:DIGITS], (), frozenset())
    docstrings = {id(node) for each in ast.walk(tree) for node in _docstring(each)}
    said = hashlib.sha256(_told(tree, docstrings).encode()).hexdigest()[:DIGITS]
    return Source(said, tuple(_imports(tree)), frozenset(texts_in(tree)))


def digest_of_file(path: Path) -> str:
    """Return a digest of a file's bytes, or of all files below a folder by their names."""
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
        found = [(file.relative_to(path).as_posix(), digest_of_file(file)) for file in files]
        return hashlib.sha256(repr(found).encode()).hexdigest()[:DIGITS]
    seen = path.stat()
    return _digest_of_bytes(path, (seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_ino))


@cache
def _digest_of_bytes(path: Path, seen: tuple[int, ...]) -> str:
    """The digest of a file that is as it was `seen`."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            found.update(chunk)
    return found.hexdigest()[:DIGITS]


def _docstring(node: ast.AST) -> list[ast.stmt]:
    """The statement that documents a module, a class or a function."""
    if not isinstance(node, WITH_DOCSTRING) or ast.get_docstring(node, clean=False) is None:
        return []
    return node.body[:1]


def _told(node: object, left_out: set[int]) -> str:
    """A syntax tree as text: `ast.dump` writes another one in each version of Python."""
    if isinstance(node, list):
        return f"[{','.join(_told(each, left_out) for each in node if id(each) not in left_out)}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = [(name, value) for name, value in ast.iter_fields(node) if name != "kind"]
    kept = [
        f"{name}={_told(value, left_out)}"
        for name, value in fields
        if isinstance(node, ast.Constant) or (value is not None and value != [])
    ]
    return f"{type(node).__name__}({','.join(kept)})"


def _imports(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Everything that is imported, wherever in a file, also by a name that is written out."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, 0) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            yield module, node.level
            yield from (
                (f"{module}.{alias.name}" if module else alias.name, node.level)
                for alias in node.names
                if alias.name != "*"
            )
        elif isinstance(node, ast.Call) and node.args:
            called = node.func.attr if isinstance(node.func, ast.Attribute) else ""
            called = node.func.id if isinstance(node.func, ast.Name) else called
            name = node.args[0]
            if called in ("import_module", "__import__") and isinstance(name, ast.Constant):
                bare = str(name.value).lstrip(".")
                yield bare, len(str(name.value)) - len(bare)
