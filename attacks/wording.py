"""What is wrong with a value of a YAML, in words: what was expected, what came, the way out."""

import difflib
import re
import types
import typing
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import yaml
from pydantic import BaseModel

LONGEST = 60  # characters of a value that is shown
LEAST, ABOVE, MOST, BELOW = "ge", "gt", "le", "lt"


class Truth(NamedTuple):
    """A boolean that stands where a number is wanted, which Python would take for 0 or 1."""

    value: bool


def counted(number: int, noun: str) -> str:
    """1 arm, 16 arms."""
    return f"{number} {noun}" + "s" * (number != 1)


def no_numbers(kind: Any, value: Any) -> Any:
    """Return a value whose booleans are none that its annotation would take for numbers."""
    kind, _ = _unpacked(kind)
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if isinstance(value, bool):
        some = [_unpacked(part)[0] for part in parts] if _is_union(kind) else [kind]
        return Truth(value) if bool not in some and {int, float} & {*some} else value
    if isinstance(value, list) and origin is tuple and parts:
        fixed = parts[-1] is not ... and len(parts) == len(value)
        each = parts if fixed else parts[:1] * len(value)
        return [no_numbers(part, item) for part, item in zip(each, value, strict=True)]
    if isinstance(value, dict) and origin is dict:
        return {key: no_numbers(parts[1], item) for key, item in value.items()}
    return value


def unknown(kind: str, given: str, known: Iterable[str]) -> str:
    """Return the message for an unknown name: the nearest legal ones first, then all of them."""
    known = sorted(known)
    near = nearest(given, known)
    hint = f"; did you mean {near!r}?" if near else ""
    return f"unknown {kind} {given!r}{hint} (known: {', '.join(known)})"


def nearest(given: str, known: Iterable[str]) -> str:
    """Return the legal name that is most like the given one, or "" if none is like it."""
    return next(iter(difflib.get_close_matches(given, [*known], n=1)), "")


def wrong(kind: Any, value: Any) -> str:
    """Return why a value does not fit.

    Args:
        kind: the annotation of the key, or of a part of its value.
    """
    hint = _way_out(kind, value)
    return f"expected {expected(kind)}, got {shown(value)}" + (f"; {hint}" if hint else "")


def missing(kind: Any) -> str:
    """Return what is said of a key that has no default and is not there."""
    return f"it is missing, and has no default; give it {expected(kind)}"


def shown(value: Any) -> str:
    """Return a value as YAML has it, in one line, texts in quotes, cut where it is long."""
    if isinstance(value, str):
        told = repr(value)
    else:
        flow = yaml.safe_dump(_plain(value), default_flow_style=True, width=10**6, sort_keys=False)
        told = flow.removesuffix("\n").removesuffix("\n...")
    return told if len(told) <= LONGEST else f"{told[:LONGEST]}..."


def expected(kind: Any) -> str:
    """Return what an annotation asks for, in words."""
    kind, rules = _unpacked(kind)
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if any(hasattr(rule, "package") for rule in rules):  # found by its name
        return f"{article(said(kind))}: its name, or a mapping with a `name`"
    if _is_union(kind):
        some = [part for part in parts if part is not type(None)]
        return ", or ".join(expected(Annotated[part, *rules] if rules else part) for part in some)
    if origin is Literal:
        return " or ".join(filter(None, (", ".join(map(str, parts[:-1])), str(parts[-1]))))
    if kind is bool:
        return "true or false"
    if kind in (int, float):
        return f"a {'whole ' * (kind is int)}number{_range(rules)}"
    if kind is str and _of(rules, "pattern"):
        most = _of(rules, "max_length")
        return "a name of a-z, 0-9, _ and -" + (f", at most {most} characters" if most else "")
    if kind is Path:
        return "a path"
    if origin is tuple:
        each = f", each {expected(parts[0])}" if parts[0] is not Any else ""
        least = _of(rules, "min_length")
        num = str(len(parts)) if parts[-1] is not ... else f"{least} or more" if least else ""
        return f"a list{f' of {num}' if num else ''}{each}"
    if origin is dict:
        return "a mapping of names" + (", at least one" if _of(rules, "min_length") else "")
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        required = [name for name, field in kind.model_fields.items() if field.is_required()]
        keys = required or [*kind.model_fields][:3]
        return f"a mapping of keys such as {', '.join(f'`{key}`' for key in keys)}"
    return "text" if kind is str else "another value"


def nameless(kind: Any, value: Any) -> str:
    """Return what is said where one thing stands in place of a mapping of named ones, or ""."""
    parts = typing.get_args(_unpacked(kind)[0])
    if typing.get_origin(_unpacked(kind)[0]) is not dict or not isinstance(value, dict):
        return ""
    key = (
        "name" if any(hasattr(r, "package") for r in _unpacked(parts[1])[1]) else _sort_of(parts[1])
    )
    given = value.get(key) if key else None
    if not isinstance(given, str):
        return ""
    return f"expected {expected(kind)}, and this has none of yours; write {shown({given: value})}"


def part_of(kind: Any, at: Sequence[Any]) -> tuple[tuple[Any, ...], Any]:
    """Return the place of a part of a value, and its annotation.

    Args:
        kind: the annotation of the whole.
        at: as pydantic tells it: after a union stands which member it tried, which is no place.
    """
    place = []
    for position, key in enumerate(at):
        bare, _ = _unpacked(kind)
        if _is_union(bare):
            members = typing.get_args(bare)
            holds = [m for m in members if typing.get_origin(_unpacked(m)[0]) in (tuple, dict)]
            kind = holds[0] if holds and position < len(at) - 1 else kind
            continue
        place.append(key)
        origin, parts = typing.get_origin(bare), typing.get_args(bare)
        if origin is dict:
            kind = parts[0] if at[position + 1 :] == ("[key]",) else parts[1]
        elif origin is tuple and parts:
            fixed = parts[-1] is not ... and isinstance(key, int) and key < len(parts)
            kind = parts[key] if fixed else parts[0]
        elif key != "[key]":
            kind = Any
    return tuple(place), kind


def article(noun: str) -> str:
    """evasion attack -> an evasion attack"""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def said(contract: type) -> str:
    """EvasionAttack -> evasion attack."""
    if contract.__name__ == "Data":
        return "data set"
    return "".join(f" {c.lower()}" if c.isupper() else c for c in contract.__name__).strip()


def _way_out(kind: Any, value: Any) -> str:
    """What the user may have meant, or ""."""
    kind, rules = _unpacked(kind)
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if _is_union(kind):
        return next(filter(None, (_way_out(part, value) for part in parts)), "")
    by_name = any(hasattr(rule, "package") for rule in rules)
    if isinstance(value, list) and len(value) == 1 and by_name and isinstance(value[0], str | dict):
        return f"write {_bare(value[0])}"
    if isinstance(value, str) and not by_name and (under := _sort_of(kind)):
        return f"write {shown({under: value})}"
    if isinstance(value, list | str) and origin is dict:
        return _named(parts[1], value if isinstance(value, list) else [value])
    if (
        isinstance(value, list)
        and len(value) == 1
        and isinstance(value[0], bool | int | float | str)
    ):
        fits = value[0] in parts if origin is Literal else kind in SCALARS
        return f"write {_bare(value[0])}" if fits else ""
    if origin is tuple and parts[-1] is ... and not isinstance(value, list | dict):
        return f"write {shown([value])}"
    if kind is str and isinstance(value, bool | int | float):
        return f"write {str(value)!r}, in quotes"
    if kind is str and isinstance(value, str) and _of(rules, "pattern"):
        like = re.sub(r"[^a-z0-9_-]+", "_", value.lower()).strip("_-")
        like = like[: _of(rules, "max_length") or None]
        return f"did you mean {like!r}?" if like and like != value else ""
    if not isinstance(value, str):
        return ""
    legal = parts if origin is Literal else ("true", "false") if kind is bool else ()
    if near := nearest(value.lower(), map(str, legal)):
        return f"did you mean {near!r}?"
    return _number(kind, rules, value) if kind in (int, float) else ""


SCALARS = (bool, int, float, str, Path)


def _number(kind: type, rules: Sequence[Any], value: str) -> str:
    """The number that a text begins with: `20 epochs`, `0,1`, `5%`."""
    found = re.match(r"\s*([-+]?\d+(?:[.,]\d+)?)\s*(%?)", value)
    if found is None:
        return ""
    number = float(found[1].replace(",", ".")) / (100 if found[2] else 1)
    fits = all(RULES[name](number, end) for name in RULES if (end := _of(rules, name)) is not None)
    whole = kind is float or number == int(number)
    return f"did you mean {number:g}?" if fits and whole else ""


RULES = {
    LEAST: lambda number, end: number >= end,
    ABOVE: lambda number, end: number > end,
    MOST: lambda number, end: number <= end,
    BELOW: lambda number, end: number < end,
}


def _named(kind: Any, items: Sequence[Any]) -> str:
    """A list as the mapping that was wanted, each of its items under its own name."""
    kind, rules = _unpacked(kind)
    by_name, under = any(hasattr(rule, "package") for rule in rules), _sort_of(kind)
    if not items or not (by_name or under):
        return ""
    if not all(isinstance(item, str | dict) for item in items):
        return ""
    names = [item if isinstance(item, str) else str(item.get("name", "mine")) for item in items]
    inner = [item if by_name else {under: item} for item in items]
    return f"give each a name of yours: {shown(dict(zip(names, inner, strict=True)))}"


def _sort_of(kind: Any) -> str | None:
    """The first key of a class that it needs and that is found by name, as `defense` of an arm."""
    for key, field in getattr(kind, "model_fields", {}).items():
        if field.is_required() and any(hasattr(rule, "package") for rule in field.metadata):
            return key
    return None


def _bare(value: Any) -> str:
    """A value as one would write it."""
    return value if isinstance(value, str) else shown(value)


def _unpacked(kind: Any) -> tuple[Any, tuple[Any, ...]]:
    """An annotation without its rules and without `| None`, and the rules, one by one."""
    rules: tuple[Any, ...] = ()
    while typing.get_origin(kind) is Annotated:
        rules = (*kind.__metadata__, *rules)
        kind = kind.__origin__
    if _is_union(kind):
        some = [part for part in typing.get_args(kind) if part is not type(None)]
        if len(some) == 1:
            inner, more = _unpacked(some[0])
            return inner, (*more, *rules)
    each = [[rule, *getattr(rule, "metadata", ())] for rule in rules]
    return kind, tuple(rule for some in each for rule in some)


def _is_union(kind: Any) -> bool:
    return typing.get_origin(kind) in (typing.Union, types.UnionType)


def _of(rules: Sequence[Any], name: str) -> Any:
    """What the rules say by a name, such as the least value; None: nothing."""
    found = [getattr(rule, name, None) for rule in rules]
    return next((value for value in found if value is not None), None)


def _range(rules: Sequence[Any]) -> str:
    """The legal numbers, in words."""
    least, above, most, below = (_of(rules, name) for name in (LEAST, ABOVE, MOST, BELOW))
    if least is not None and most is not None:
        told = f" from {least:g} to {most:g}"
    else:
        ends = [f"above {above:g}" if above is not None else ""]
        ends += [f"of {least:g} or more" if least is not None else ""]
        ends += [f"below {below:g}" if below is not None else ""]
        ends += [f"of at most {most:g}" if most is not None else ""]
        told = " and ".join(filter(None, ends))
        told = f" {told}" if told else ""
    multiple = _of(rules, "multiple_of")
    return told + (f", a multiple of {multiple:g}" if multiple else "")


def _plain(value: Any) -> Any:
    """A value of YAML's own kinds."""
    if isinstance(value, Truth):
        return value.value
    if isinstance(value, dict):
        return {_plain(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value if isinstance(value, bool | int | float | str | None) else str(value)
