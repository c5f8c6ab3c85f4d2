"""The pages of the reference that are made from the code: schema, commands, contracts."""

import ast
import importlib
import inspect
import pkgutil
import re
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from attacks.by_name import ByName, Keys, find
from attacks.wording import expected, part_of, said, shown
from runner.__main__ import app
from runner.experiment.experiment import Experiment

HERE = Path(__file__).parent
OURS = ("attacks", "defenses", "runner")


def write(folder: Path) -> None:
    """Write the pages; one that is as it was is left alone, so that it is not read again."""
    folder.mkdir(exist_ok=True)
    for name, page in {
        "schema": schema(),
        "commands": commands(),
        "contracts": contracts(),
    }.items():
        file = folder / f"{name}.md"
        if not file.exists() or file.read_text() != page:
            file.write_text(page)


def schema() -> str:
    """Every key of a YAML: blocks as they are nested, then what is found by name."""
    told = [
        "# The schema",
        "Made from the classes that read a YAML: their docstrings, and what is written beside each "
        "key. [The configuration](../configuration.md) explains them at more length.",
    ]
    named: dict[str, type[Keys]] = {}
    for path, cls in _blocks("", Experiment, named):
        told += [f"## {path or 'The experiment'}", _prose(cls), _table(cls, set())]
    for package, contract in named.items():
        told += [f"## {said(contract).capitalize()}s", _prose(contract)]
        every = {cls.__name__: (name, cls) for name, cls in _classes(package, contract)}
        for name, cls in every.values():
            told += [f"### `{name}`", _prose(cls), _table(cls, {"name"})]
    return "\n\n".join(filter(None, told)) + "\n"


def commands() -> str:
    """Every command with its arguments and options, as its own help has them."""
    told = ["# The commands", "Made from the parser: what `runner COMMAND -h` says."]
    for words, command in _commands(("runner",), typer.main.get_command(app)):
        told += [f"## {' '.join(words)}", inspect.cleandoc(command.help or "")]
        rows = [_option(param) for param in command.params if not getattr(param, "hidden", False)]
        told += ["\n".join(["| | | default |", "|---|---|---|", *rows])] if rows else []
    return "\n\n".join(told) + "\n"


def contracts() -> str:
    """What the examples of extending.md take from our packages, with its docstrings."""
    told = [
        "# The contracts",
        "What [the examples of a file of your own](../extending.md) take from here, from its "
        "docstrings.",
    ]
    for module, name in dict.fromkeys(_taken((HERE / "extending.md").read_text())):
        found = getattr(importlib.import_module(module), name)
        told.append(f"## `{module}.{name}`")
        if callable(found) or inspect.isclass(found):
            told += [_prose(found), *_members(found)]
        else:
            told.append(f"{expected(found).capitalize()}.")
    return "\n\n".join(filter(None, told)) + "\n"


def _blocks(
    path: str, cls: type[Keys], named: dict[str, type[Keys]]
) -> Iterator[tuple[str, type[Keys]]]:
    """A block and those within it, each with its path; what is found by name goes to `named`."""
    yield path, cls
    for key, field in cls.model_fields.items():
        kind: Any = typing.Annotated[field.annotation, *field.metadata, None]
        below = f"{path}.{key}" if path else key
        for at, name in (((), ""), (("x",), ".NAME")):
            part = part_of(kind, at)[1] if at else kind
            bare = _bare(part)
            package = next((r.package for r in _rules(part) if isinstance(r, ByName)), None)
            if package:
                named.setdefault(package, bare)
            elif inspect.isclass(bare) and issubclass(bare, Keys):
                yield from _blocks(below + name, bare, named)
                break


def _bare(kind: Any) -> Any:
    """An annotation without rules and without None."""
    while typing.get_origin(kind) is typing.Annotated:
        kind = kind.__origin__
    some = [part for part in typing.get_args(kind) if part is not type(None)]
    union = type(None) in typing.get_args(kind)
    return _bare(some[0]) if union and len(some) == 1 else kind


def _rules(kind: Any) -> list[Any]:
    """What stands beside a type, also within `| None`."""
    found: list[Any] = []
    while typing.get_origin(kind) is typing.Annotated:
        found += kind.__metadata__
        kind = kind.__origin__
    some = [part for part in typing.get_args(kind) if part is not type(None)]
    union = type(None) in typing.get_args(kind)
    return found + (_rules(some[0]) if union and len(some) == 1 else [])


def _classes(package: str, contract: type[Keys]) -> Iterator[tuple[str, type[Keys]]]:
    """What is found by name in a package; of sizes in one file the first is enough."""
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        if not module.name.startswith("_"):
            of = importlib.import_module(f"{package}.{module.name}")
            for cls in vars(of).values():
                if not inspect.isclass(cls) or cls.__module__ != of.__name__:
                    continue
                if issubclass(cls, contract):
                    name = typing.get_args(cls.model_fields["name"].annotation)[0]
                    yield name, find(package, name, contract)


def _table(cls: type[Keys], without: set[str]) -> str:
    """A row a key: what it takes, its default, and what is written beside it."""
    beside = _comments(cls)
    rows = []
    for key, field in cls.model_fields.items():
        if key in without:
            continue
        kind: Any = typing.Annotated[field.annotation, *field.metadata, None]
        value = field.get_default(call_default_factory=True)
        default = "required" if field.is_required() else f"`{shown(_plain(value))}`"
        rows.append(f"| `{key}` | {expected(kind)} | {default} | {beside.get(key, '')} |")
    if not rows:
        return ""
    return "\n".join(["| key | takes | default | |", "|---|---|---|---|", *map(_cells, rows)])


def _cells(row: str) -> str:
    """A row whose texts have no bars of their own: those of cells have blanks beside them."""
    return re.sub(r"(?<=\S)\|(?=\S)", r"\\|", row)


def _plain(value: Any) -> Any:
    """A default as YAML has it."""
    if isinstance(value, Keys):
        return {
            key: _plain(inner) for key, inner in value.model_dump(exclude_defaults=True).items()
        }
    return {k: _plain(v) for k, v in value.items()} if isinstance(value, dict) else value


def _comments(cls: type) -> dict[str, str]:
    """What is written behind the keys of a class and of those that it is made of."""
    found: dict[str, str] = {}
    for each in reversed(cls.__mro__):
        if issubclass(each, Keys):
            found |= dict(re.findall(r"^    (\w+): .*?  # (.*)$", inspect.getsource(each), re.M))
    return found


def _commands(words: tuple[str, ...], of: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    if words != ("runner",) and not getattr(of, "commands", {}):
        yield words, of
    for name, inner in getattr(of, "commands", {}).items():
        yield from _commands((*words, name), inner)


def _option(param: Any) -> str:
    """A row of a command's table."""
    names = [*param.opts, *param.secondary_opts]
    is_argument = param.param_type_name == "argument"
    takes = f" {param.metavar}" if param.metavar and not is_argument else ""
    name = (param.metavar or param.name.upper()) if is_argument else "`, `".join(names) + takes
    default = "required" if param.required else ""
    if not callable(param.default) and param.default not in (None, False, (), ""):
        default = f"`{param.default}`"
    told = str(param.help or "").replace("|", "\\|")
    return f"| `{name}` | {told} | {default} |"


def _taken(page: str) -> Iterator[tuple[str, str]]:
    """Each name that the examples of a page import from our packages."""
    for block in re.findall(r"^```python\n(.*?)^```", page, re.M | re.S):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] in OURS:
                yield from ((str(node.module), alias.name) for alias in node.names)


def _members(found: Any) -> Iterator[str]:
    """The methods and properties that a class defines, public ones with a docstring."""
    if not inspect.isclass(found):
        return
    for name, member in vars(found).items():
        of = getattr(member, "fget", None) or getattr(member, "__func__", member)
        if name.startswith("_") or not inspect.isfunction(of) or not of.__doc__:
            continue
        call = "" if isinstance(member, property) else _signature(of)
        yield f"### `{found.__name__}.{name}{call}`"
        yield _prose(of)


def _signature(of: Any) -> str:
    """The names of a function's arguments."""
    names = [name for name in inspect.signature(of).parameters if name not in ("self", "cls")]
    return f"({', '.join(names)})"


def _prose(of: Any) -> str:
    """A docstring as Markdown: what it lists under Args and the like is a list."""
    lines, told, inside = inspect.cleandoc(of.__doc__ or "").splitlines(), [], False
    for line in lines:
        if re.fullmatch(r"(Args|Returns|Raises|Yields):", line):
            told += ["", f"**{line[:-1]}**", ""]
            inside = True
        elif inside and re.match(r"    \S", line):
            item = re.sub(r"^(\w+): ", r"`\1`: ", line.strip())
            told.append(f"- {item}")
        elif inside and line.strip():
            told.append(f"  {line.strip()}")
        else:
            inside = inside and not line
            told.append(line)
    return "\n".join(told).strip()
