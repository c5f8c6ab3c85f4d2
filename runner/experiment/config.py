"""YAML, with overrides from the command line, to a validated object. It knows no field by name."""

import codecs
import difflib
import glob
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import yaml
from pydantic import BaseModel
from pydantic import ValidationError as Invalid

from attacks.wording import shown
from runner.experiment._syntax import in_words
from runner.faults import UserFault

Schema = TypeVar("Schema", bound=BaseModel)
Key = str | int
# Where each path stands: a line of the file, or the option that set it.
Lines = Mapping[tuple[Key, ...], int | str]


class Fault(NamedTuple):
    """One thing wrong: where in the file or on the command line, and why."""

    path: str  # arms.trades.defense.beta
    reason: str
    line: int | None = None
    option: str = ""  # --set training.epochs=many

    def __str__(self) -> str:
        place = f"line {self.line}: " if self.line else f"{self.option}: " if self.option else ""
        return f"{place}{self.path}: {self.reason}"


class ConfigError(UserFault):
    """All faults of one configuration at once."""

    def __init__(self, source: str, faults: Sequence[Fault], note: str = "") -> None:
        super().__init__(source, faults, note)
        self.source, self.faults, self.note = source, faults, note

    def __str__(self) -> str:
        count = f"{len(self.faults)} fault" + "s" * (len(self.faults) > 1)
        told = [f"{self.source}: {count}", *(f"  {fault}" for fault in self.faults)]
        return "\n".join(told + [self.note] * bool(self.note))


class _Loader(yaml.SafeLoader):
    """SafeLoader with YAML 1.2's booleans and numbers: `on` is a word, `1e-3` is a number, `010`
    is ten and not eight, and `1:30` is no number of seconds."""


_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, pattern)
        for tag, pattern in resolvers
        if not tag.endswith((":bool", ":float", ":int", ":timestamp"))
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile("^(true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$|^[-+]?\.inf$|^\.nan$"),
    list("-+.0123456789"),
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int",
    re.compile(r"^[-+]?(0|[1-9][0-9_]*|0x[0-9a-fA-F]+)$"),
    list("-+0123456789"),
)
# An integer also fits the float pattern, and the first resolver that fits wins.
for _resolvers in _Loader.yaml_implicit_resolvers.values():
    _resolvers.sort(key=lambda resolver: resolver[0].endswith(":float"))


def parse(text: str) -> Any:
    """Return the Python value of a YAML text, read as configurations are read.

    Raises:
        ValueError: it is not YAML, or an anchor contains itself.
    """
    try:
        return yaml.load(text, Loader=_Loader)  # a SafeLoader
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ValueError(f"not YAML: {in_words(error, text)[0]}") from error


def locate(name: str, room: str = "") -> Path:
    """Return the file that `name` means: a path, or the name of a shipped configuration.

    Args:
        room: the folder of `configs/` that names are of; by default all that holds experiments.

    Raises:
        ConfigError: there is no such file; names the nearest shipped one, in whatever folder.
    """
    path = Path(name)
    if path.is_file():
        return path
    shipped, names = _shipped(room)
    wanted = re.sub(r"^configs/|\.yaml$", "", name)
    if wanted in names:
        return shipped / f"{wanted}.yaml"
    if path.is_dir():
        inside = ", ".join(sorted(p.name for p in path.glob("*.y*ml")))
        way_out = f"give a file of it ({inside})" if inside else "give a YAML file"
        raise ConfigError(name, [Fault("file", f"it is a folder; {way_out}")])
    stems = {Path(name).name: name for name in names}
    near = difflib.get_close_matches(Path(wanted).name, stems, n=1)
    hint = f"; did you mean {stems[near[0]]!r}?" if near else f" (shipped: {', '.join(names)})"
    raise ConfigError(name, [Fault("file", f"no such file or shipped configuration{hint}")])


def _shipped(room: str) -> tuple[Path, list[str]]:
    """The folder of what is shipped, and the names in it."""
    shipped = Path(str(resources.files("configs"))) / room
    names = sorted(str(p.relative_to(shipped).with_suffix("")) for p in shipped.rglob("*.yaml"))
    return shipped, [found for found in names if room or not found.startswith("cluster/")]


def begun(incomplete: str) -> list[str]:
    """Return what a shell may complete a configuration to: files, folders and shipped names."""
    near = sorted(Path().glob(f"{glob.escape(incomplete)}*") if incomplete[:1] != "/" else [])
    files = [f"{path}/" if path.is_dir() else str(path) for path in near]
    files = [name for name in files if name.endswith(("/", ".yaml", ".yml"))]
    return files + [name for name in _shipped("")[1] if name.startswith(incomplete)]


def load(path: Path, overrides: Sequence[str], schema: type[Schema]) -> Schema:
    """Return the validated object of a YAML file.

    Args:
        path: the YAML file.
        overrides: `dotted.key=value` each, the value in YAML; `null` removes the key.
        schema: a pydantic class.

    Raises:
        ConfigError: every fault at once, each with its YAML path and, where known, its line or
            the option that it comes from.
    """
    return valid(path, overrides, schema)[1]


def valid(
    path: Path, overrides: Sequence[str], schema: type[Schema]
) -> tuple[dict[str, Any], Schema, Lines]:
    """Return what `load` does, between what stands in the file and where.

    Raises:
        ConfigError: as `load`.
    """
    data, lines = read(path, overrides)
    try:
        return data, validate(data, schema, str(path), lines), lines
    except ConfigError as error:
        blamed = all(fault.option for fault in error.faults)
        if not overrides or blamed or not _sound(path, schema):
            raise
        note = "The file by itself has no fault: what --set says does not go with it."
        raise ConfigError(error.source, error.faults, note) from None


def _sound(path: Path, schema: type[BaseModel]) -> bool:
    """Whether a file by itself has no fault."""
    try:
        validate(read(path, [])[0], schema, str(path))
    except ConfigError:
        return False
    return True


def read(
    path: Path | None, overrides: Sequence[str], options: Mapping[str, str] | None = None
) -> tuple[dict[str, Any], Lines]:
    """Return what stands in a YAML file, with the overrides, and where each path of it stands.

    Args:
        path: None: the overrides are all there is.
        overrides: as for `load`.
        options: how an override stands on the command line, where that is not `--set`.

    Raises:
        ConfigError: it is no YAML of a mapping, a key stands twice, or an override is none.
    """
    source = str(path or "options")
    text = ""
    try:
        text = _text(path) if path else "{}"
        data, node = parse(text), yaml.compose(text, Loader=_Loader)
        faults = [*_repeated(node, ())]
        lines: dict[tuple[Key, ...], int | str] = dict(_lines(node, ()))
    except RecursionError:
        raise ConfigError(source, [Fault("file", "an anchor contains itself")]) from None
    except OSError as error:
        raise ConfigError(source, [Fault("file", error.strerror or str(error))]) from None
    except ValueError as error:
        known = isinstance(error.__cause__, yaml.YAMLError)
        line = in_words(error.__cause__, text)[1] if known and error.__cause__ else None
        raise ConfigError(source, [Fault("file", str(error), line)]) from None
    if not isinstance(data, dict):
        found = "nothing" if data is None else "a list" if isinstance(data, list) else shown(data)
        why = f"expected a mapping of keys, such as `name: mine`, found {found}"
        faults.append(Fault("file", f"{why}; docs/configuration.md has every key"))
    else:
        for override in overrides:
            option = (options or {}).get(override, f"--set {shlex.quote(override)}")
            faults.extend(fault._replace(option=option) for fault in _override(data, override))
            key = tuple(override.partition("=")[0].split("."))
            lines = {at: option if at[: len(key)] == key else line for at, line in lines.items()}
            lines[key] = option
            made = (key[:length] for length in range(1, len(key)))
            lines |= {above: option for above in made if above not in lines}
    if faults:
        raise ConfigError(source, faults)
    assert isinstance(data, dict)
    return data, lines


def _text(path: Path) -> str:
    """What stands in a file.

    Raises:
        ValueError: it is no text in UTF-8.
    """
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        kind = "text in UTF-16" if utf16 else f"no text in UTF-8 (byte {error.start} of it is none)"
        raise ValueError(f"it is {kind}; save it as UTF-8") from None


def validate(
    data: dict[str, Any],
    schema: type[Schema],
    source: str,
    lines: Lines | None = None,
) -> Schema:
    """Return `schema` filled from data; `lines` tells where in `source` each path stands."""
    try:
        return schema.model_validate(data)
    except Invalid as invalid:
        faults = []
        for error in invalid.errors(include_url=False):
            at = tuple(error["loc"])
            reason = error["msg"].removeprefix("Value error, ")
            dotted = ".".join(str(key) for key in at) or "experiment"
            fault = Fault(dotted, reason[:1].lower() + reason[1:])
            faults.append(placed(fault, lines or {}, at))
        raise ConfigError(source, _once(faults)) from None


def placed(fault: Fault, lines: Lines, at: tuple[Key, ...] | None = None) -> Fault:
    """Return a fault with the line or the option that its path, or the nearest part above, is of.

    Args:
        at: the keys of its path, where they have dots of their own.
    """
    at = tuple(fault.path.split(".")) if at is None else tuple(map(str, at))
    known = [lines[at[:n]] for n in range(len(at), 0, -1) if at[:n] in lines]
    if not known:
        return fault
    name = lines.get((*at, "name"))  # which decides what the rest is read as
    place = name if isinstance(name, str) else known[0]
    return fault._replace(option=place) if isinstance(place, str) else fault._replace(line=place)


def _once(faults: Sequence[Fault]) -> list[Fault]:
    """Drop the echo of a fault in a part that was copied below: training.lr, arms.x.training.lr."""

    def echoes(fault: Fault, other: Fault) -> bool:
        same = fault.reason == other.reason or fault.reason.startswith("it is missing")
        return fault.path.endswith(f".{other.path}") and same

    return [fault for fault in faults if not any(echoes(fault, other) for other in faults)]


def _override(data: dict[str, Any], override: str) -> Iterator[Fault]:
    """Set one dotted key in place."""
    dotted, equals, text = override.partition("=")
    *parents, last = dotted.split(".")
    if not equals or not all(key.strip() for key in (*parents, last)):
        yield Fault(dotted or "--set", "expected KEY=VALUE, such as training.epochs=3")
        return
    try:
        value = parse(text)
    except ValueError as error:
        yield Fault(dotted, f"the value is {error}")
        return
    for depth, key in enumerate(parents):
        data = data.setdefault(key, {})
        if not isinstance(data, dict):
            at = ".".join(parents[: depth + 1])
            why = f"it goes through {at}, which is {shown(data)} and has no keys"
            way = f"{at}={{name: {data}, {'.'.join([*parents, last][depth + 1 :])}: {text}}}"
            by_name = isinstance(data, str) and depth + 2 == len([*parents, last])
            by_name = by_name and parents[depth] in ("model", "data", "defense")
            yield Fault(dotted, why + f"; --set {shlex.quote(way)} gives it some" * by_name)
            return
    if value is None:
        data.pop(last, None)
    else:
        data[last] = value


def _lines(node: yaml.Node | None, at: tuple[Key, ...]) -> Iterator[tuple[tuple[Key, ...], int]]:
    """Each path of a YAML tree with its line, counted from 1."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield (*at, key.value), key.start_mark.line + 1
            yield from _lines(value, (*at, key.value))
    elif isinstance(node, yaml.SequenceNode):
        for position, value in enumerate(node.value):
            yield (*at, str(position)), value.start_mark.line + 1
            yield from _lines(value, (*at, str(position)))


def _repeated(node: yaml.Node | None, at: tuple[Key, ...]) -> Iterator[Fault]:
    """A fault for each key that stands twice in a mapping: YAML would keep the last in silence."""
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            line, name = key.start_mark.line + 1, str(key.value)
            if name in seen:
                why = f"this key stands here twice, first in line {seen[name]}; keep one of them"
                yield Fault(".".join(map(str, (*at, name))), why, line)
            seen.setdefault(name, line)
            yield from _repeated(value, (*at, key.value))
    elif isinstance(node, yaml.SequenceNode):
        for position, value in enumerate(node.value):
            yield from _repeated(value, (*at, position))
