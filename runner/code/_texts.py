"""Which files the texts of a module may name."""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

MOST_ABOVE = 3  # folders above a module, from which its texts are looked for
MOST_JOINED = 3  # folders in a row, each named by a text of its own
MOST_FOLDERS = 100


def texts_in(tree: ast.Module) -> set[str]:
    """Return every text of a module that may be a path or a part of one, but of what it writes."""
    written = {id(node) for node in _written(tree)}
    return {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in written
        and _may_be_path(node.value)
    }


def folders_of(texts: Iterable[str], module: Path) -> list[Path]:
    """Return where a module may read: where one works, beside it and above it, and what its texts
    name from there, also several in a row: `Path(__file__).parents[1] / "tables" / "of_2024"`."""
    found = {folder.resolve(): None for folder in (Path(), *module.parents[:MOST_ABOVE])}
    last = [*found]
    for _ in range(MOST_JOINED):
        below = (path for at in last for text in sorted(texts) for path in _at(at, text))
        new = {path.resolve(): None for path in below if path.is_dir()}
        last = [path for path in new if path not in found][: MOST_FOLDERS - len(found)]
        found |= dict.fromkeys(last)
    return [*found]


def files_at(folders: Iterable[Path], text: str) -> list[Path]:
    """Return the files that a text names from some folders."""
    found = (path for at in folders for path in _at(at, text) if path.is_file())
    return list({path.resolve(): None for path in found})


def _at(folder: Path, text: str) -> Iterator[Path]:
    """The path that a text is, if there is one; in `f"{folder}/a.npy"` the text is `/a.npy`."""
    for each in dict.fromkeys((text, text.lstrip("/"))):
        try:
            path = folder / Path(each).expanduser()
            if each and path.exists():
                yield path
        except (OSError, ValueError, RuntimeError):  # no text that a file could be called
            continue


def _written(tree: ast.Module) -> Iterator[ast.AST]:
    """The texts that name what is opened to write, also by a name that the module gives them."""
    opened = [path for node in ast.walk(tree) if isinstance(node, ast.Call) for path in _to(node)]
    names = {path.id for path in opened if isinstance(path, ast.Name)}
    for node in tree.body:
        if isinstance(node, ast.Assign):
            named = {target.id for target in node.targets if isinstance(target, ast.Name)}
            opened += [node.value] if names & named else []
    for path in opened:
        yield path.right if isinstance(path, ast.BinOp) else path  # of `folder / "log.csv"`
        yield from path.args if isinstance(path, ast.Call) else ()


def _to(call: ast.Call) -> Iterator[ast.expr]:
    """What a call opens to write."""
    called, keywords = call.func, [k.value for k in call.keywords if k.arg == "mode"]
    of = called.value if isinstance(called, ast.Attribute) else None
    name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
    modes = [a.value for a in (*call.args, *keywords) if isinstance(a, ast.Constant)]
    writes = any(isinstance(m, str) and len(m) < 4 and {*m} & {*"wax"} for m in modes)
    if name in ("write_text", "write_bytes", "mkdir", "touch") and of:
        yield of
    elif name == "open" and writes:
        yield of if of else call.args[0]


def _may_be_path(text: str) -> bool:
    """Whether a text is worth looking for on the disk."""
    return 0 < len(text.strip("/")) < 500 and text.isprintable()
