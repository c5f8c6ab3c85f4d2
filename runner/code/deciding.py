"""Which source and which files decide a result, beyond what the versions stand for.

The source of the project goes by the versions, such as WEIGHTS_VERSION, as long as it is what the
record has of it. What somebody edited in his checkout, files of his own, modules of his that these
import and files that a configuration names count by a digest each.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_origin

from pydantic import BaseModel

from runner.code._digests import digest_of_file, source_at
from runner.code._imports import Module, closure, find
from runner.code._texts import files_at, folders_of
from runner.code.record import STAGES, decides, others
from runner.faults import UserFault

BLOCKS = "runner.experiment"  # whose classes only hold fields


class Held(NamedTuple):
    """What a configuration gives, or a part of it."""

    name: str  # a dotted key
    value: Any
    of: str  # the module of the class that has it


class OtherCode(UserFault):
    """The source here is not what the plan was made with."""


def deciding(stage: str, named: Mapping[str, Any]) -> dict[str, str]:
    """Return what a stage's outcome hangs on beside its version: a digest by name, mostly none.

    Asked where a plan is made. What comes back goes into ids, and travels to the workers.

    Args:
        stage: of `STAGES`.
        named: what a configuration names, by the key that it stands under: a defense, a model,
            attacks. What they hold is looked at too.
    """
    inside = [each for name, value in named.items() for each in _inside(name, value)]
    roots = frozenset(
        type(held.value).__module__
        for held in inside
        if isinstance(held.value, BaseModel) and not type(held.value).__module__.startswith(BLOCKS)
    )
    files = {held.name: _together(paths) for held in inside if (paths := _named_files(held))}
    return dict(sorted({**_of_modules(stage, roots), **files}.items()))


def check_same(planned: Mapping[str, str], here: Mapping[str, str]) -> None:
    """Refuse to work with other source than the plan was made with, by what `deciding` says.

    What is somebody's own and the plan does not know is no fault: it is imported by what the plan
    does know, which would differ too.

    Raises:
        OtherCode: it was edited since, or another checkout lies here.
    """
    apart = [name for name, digest in planned.items() if here.get(name) != digest]
    if apart := [*apart, *(name for name in here if name not in planned and name in decides())]:
        raise OtherCode(
            f"{', '.join(apart)}: changed since the command began, or not the same on this node; "
            "give the same command again"
        )


def _of_modules(stage: str, roots: frozenset[str]) -> dict[str, str]:
    """What counts of the modules of classes, and of the source that always decides a stage."""
    engine = _counting(STAGES[stage].engine_modules(), False)
    return {**_counting(roots, True), **engine}


@cache
def _counting(roots: frozenset[str], follow: bool) -> dict[str, str]:
    """The digests that count of some modules and of all that they import.

    Args:
        follow: also into shipped source that decides something. From the source that always
            decides a stage it is not: each stage has its own.
    """

    def enter(module: Module) -> bool:
        return module.told not in others() and (follow or module.told not in decides())

    found: dict[str, str] = {}
    for module in closure(roots, enter).values():
        found |= _counts(module)
    return found


def _counts(module: Module) -> dict[str, str]:
    """What an id hangs on of one module, and of files that its text names."""
    if module.path is None:
        return {module.told: module.version}
    source = source_at(module.path)
    if decides().get(module.told) == source.digest:
        return {}
    folders = folders_of(source.texts, module.path)
    files = {text: found for text in source.texts if (found := files_at(folders, text))}
    of_files = {f"{module.told}: {text}": _together(paths) for text, paths in files.items()}
    return {module.told: source.digest, **of_files}


def _together(paths: Iterable[Path]) -> str:
    """The digests of all files that one text may name."""
    return "+".join(dict.fromkeys(digest_of_file(path) for path in paths))


def _inside(name: str, value: Any, kind: Any = None, of: str = "") -> Iterator[Held]:
    """A value that a configuration gives and all that it holds."""
    if isinstance(value, BaseModel):
        yield Held(name, value, of)
        for key, field in type(value).model_fields.items():
            module = type(value).__module__
            yield from _inside(f"{name}.{key}", getattr(value, key), field.annotation, module)
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from _inside(f"{name}.{key}", each, None, of)
    elif isinstance(value, list | tuple):
        for number, each in enumerate(value):
            yield from _inside(f"{name}.{number}", each, None, of)
    elif isinstance(value, str | Path) and get_origin(kind) is not Literal:
        yield Held(name, value, of)


def _named_files(held: Held) -> list[Path]:
    """The files that a value names, from where one works or from where its class may read.

    A path, or a text with a slash, may name a folder.
    """
    if not isinstance(held.value, str | Path) or held.value == Path():
        return []
    text, module = str(held.value), find(held.of)
    folders = [Path()]
    if module and module.path and decides().get(module.told) != source_at(module.path).digest:
        folders = folders_of(source_at(module.path).texts, module.path)
    if isinstance(held.value, Path) or "/" in text:
        with suppress(OSError, ValueError, RuntimeError):  # no text that a folder could be called
            if (whole := Path(text).expanduser()).is_dir():
                return [whole]
    return files_at(folders, text)
