"""A name in YAML finds one file, and the one class that the file defines. There is no registry."""

import importlib
import inspect
import pkgutil
import types
import typing
from typing import Annotated, Any, TypeVar, cast

from pydantic import BaseModel, ConfigDict, ModelWrapValidatorHandler, model_validator
from pydantic import ValidationError as Invalid
from pydantic.errors import PydanticUndefinedAnnotation
from pydantic_core import InitErrorDetails, PydanticCustomError, core_schema

from attacks import origin
from attacks.wording import (
    missing,
    nameless,
    nearest,
    no_numbers,
    part_of,
    said,
    shown,
    unknown,
    wrong,
)

Contract = TypeVar("Contract", bound="Keys")


class Keys(BaseModel):
    """A frozen bundle of fields that are also its YAML keys; an unknown key is a fault."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="wrap")
    @classmethod
    def _suggest_keys(cls, value: Any, handler: ModelWrapValidatorHandler[Any]) -> Any:
        """Turn pydantic's "extra inputs are not permitted" into the key the user may have meant.

        What a user's class raises while it is filled, other than a ValueError, is a fault as well,
        with the line of its file.
        """
        if isinstance(value, dict):
            fields = cls.model_fields
            value = {
                key: no_numbers(fields[key].annotation, given) if key in fields else given
                for key, given in value.items()
            }
        try:
            return handler(value)
        except Invalid as invalid:
            details: list[InitErrorDetails] = []
            for at, (message, given) in _faults(cls, invalid, value).items():
                fault = PydanticCustomError("fault", "{message}", {"message": message})
                details.append(InitErrorDetails(type=fault, loc=at, input=given))
            raise Invalid.from_exception_data(cls.__name__, details) from None
        except Exception as error:
            if not origin.lines(error):
                raise
            raise ValueError(origin.in_full(error)) from error


def _faults(
    cls: type[Keys], invalid: Invalid, value: Any
) -> dict[tuple[Any, ...], tuple[str, Any]]:
    """What is wrong with a value, and what stands there, by the place."""
    found: dict[tuple[Any, ...], tuple[str, Any]] = {}
    errors = invalid.errors(include_url=False)
    strange = [str(e["loc"][0]) for e in errors if e["type"] == "extra_forbidden" and e["loc"]]
    inside = {e["loc"][:n] for e in errors for n in range(len(e["loc"]))}
    for error in errors:
        if error["type"] == "too_short" and error["loc"] in inside:
            continue  # its items are wrong, which is told
        key = error["loc"][0] if error["loc"] else None
        field = cls.model_fields.get(str(key))
        given = value.get(key) if isinstance(value, dict) else None
        if field is not None and (why := nameless(field.annotation, given)):
            found[(key,)] = why, given
            continue
        told = _in_words(cls, error, strange)
        if told is not None:
            found.setdefault(*told)  # of each member of a union: one fault
    return found


def _in_words(
    cls: type[Keys], error: Any, strange: list[str]
) -> tuple[tuple[Any, ...], tuple[str, Any]] | None:
    """The place of a fault, what is wrong and what stands there; None: another fault says it.

    Args:
        strange: the unknown keys beside it.
    """
    kind, at, given = error["type"], error["loc"], error["input"]
    raised = (error.get("ctx") or {}).get("error")
    if kind == "fault":  # of a part, whose class put it in words
        return at, (error["msg"], given)
    if kind in ("value_error", "assertion_error"):
        return at, (f"{raised}{origin.at(cast(Exception, raised))}", given)
    if kind == "extra_forbidden" and len(at) == 1:
        return at, (_unknown_key(cls, str(at[0])), given)
    if kind == "invalid_key" and len(at) == 1:
        return at, (f"expected text as a key, got {shown(given)}; put it in quotes", given)
    field = cls.model_fields.get(str(at[0])) if at else None
    if field is None:
        return at, (wrong(cls, given), given)
    whole = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
    inner, part = part_of(whole, at[1:])
    at = (at[0], *inner)
    if kind == "missing" and len(at) == 1:
        misspelled = any(nearest(key, cls.model_fields) == at[0] for key in strange)
        if misspelled:
            return None
        kinds = [rule for rule in field.metadata if isinstance(rule, ByName)]
        names = [f" ({rule.names(cast(Any, field.annotation))})" for rule in kinds]
        return at, (missing(whole) + "".join(names), given)
    if kind == "missing":  # an item of a list
        return at[:-1], (wrong(part_of(whole, inner[:-1])[1], given), given)
    if at[-1] == "[key]":
        return at[:-1], (wrong(part, at[-2]), given)
    return at, (wrong(part, given), given)


def _unknown_key(cls: type[Keys], key: str) -> str:
    """What is said of a key that a class has not: its blocks may have it."""
    parts = {name: field.annotation for name, field in cls.model_fields.items()}
    homes = [
        f"`{name}.{key}`"
        for name, part in parts.items()
        if inspect.isclass(part) and issubclass(part, Keys) and key in part.model_fields
    ]
    if homes and not nearest(key, cls.model_fields):
        return f"unknown key {key!r}; did you mean {' or '.join(homes)}?"
    return unknown("key", key, cls.model_fields)


def find(package: str, name: str, contract: type[Contract]) -> type[Contract]:
    """Return the class that `name` selects: the one subclass of `contract` in `package`.`name`.

    Digits at the end of a name select a size inside one file: resnet18 lies in resnet.py.

    Raises:
        ValueError: no file of that name; the message lists the legal names and the nearest one. Or
            there is one that cannot be used: the message has its line.
    """
    modules = _modules(package)
    module = name if name in modules else name.rstrip("0123456789")
    if module in modules:
        found = _the_class(f"{package}.{module}", contract)
        if name in _names(found):
            return found
    raise ValueError(unknown(said(contract), name, _known(package, contract)))


def _known(package: str, contract: type[Contract]) -> set[str]:
    """Every legal name."""
    return {known for m in _modules(package) for known in _names_in(f"{package}.{m}", contract)}


class ByName:
    """Annotation of a field: `Annotated[Defense, ByName("defenses")]` reads `{name: trades}`."""

    def __init__(self, package: str) -> None:
        self.package = package

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        def read(value: Any) -> Any:
            if isinstance(value, source):
                return value
            if isinstance(value, str):
                value = {"name": value}
            if not isinstance(value, dict) or not isinstance(value.get("name"), str):
                told = wrong(Annotated[source, self], value)
                raise ValueError(f"{told} ({self.names(source)})")
            return find(self.package, value["name"], source).model_validate(value)

        return core_schema.no_info_plain_validator_function(read)

    def names(self, contract: type[Contract]) -> str:
        """Return every legal name, as messages have them."""
        return f"known: {', '.join(sorted(_known(self.package, contract)))}"


def _modules(package: str) -> list[str]:
    path = importlib.import_module(package).__path__
    return [m.name for m in pkgutil.iter_modules(path) if not m.name.startswith("_")]


def _names_in(module: str, contract: type[Contract]) -> tuple[str, ...]:
    """The legal names of a file; none of one that cannot be used, which nobody asked for."""
    try:
        return _names(_the_class(module, contract))
    except ValueError:
        return ()


def _the_class(module: str, contract: type[Contract]) -> type[Contract]:
    file = f"{module.replace('.', '/')}.py"
    try:
        loaded: types.ModuleType = importlib.import_module(module)
    except (Exception, SystemExit) as error:  # whatever a user's file does
        if origin.leaves(error):
            raise  # a signal came just then
        raise ValueError(f"{file} cannot be imported: {origin.in_full(error)}") from error
    found = [
        c
        for c in vars(loaded).values()
        if inspect.isclass(c) and issubclass(c, contract) and c.__module__ == module
    ]
    if len(found) != 1:
        has = ", ".join(c.__name__ for c in found) or "none"
        raise ValueError(f"{file} must define exactly one {contract.__name__}, and has {has}")
    if "name" not in found[0].model_fields or not _names(found[0]):
        what = f'name: Literal["{module.rpartition(".")[2]}"] = ...'
        raise ValueError(f"{file}: {found[0].__name__} says no name; give it a field `{what}`")
    try:
        found[0].model_rebuild()  # does nothing where all types of its keys are known
    except PydanticUndefinedAnnotation as error:
        raise ValueError(
            f"{file}: a key of {found[0].__name__} names the type {error.name!r}, which is not "
            "there when the file runs; import it outside of `if TYPE_CHECKING`"
        ) from None
    return found[0]


def _names(cls: type[Keys]) -> tuple[str, ...]:
    """The legal values of a class's `name` field."""
    return typing.get_args(cls.model_fields["name"].annotation)
