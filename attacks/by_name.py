"""A name in YAML finds one file, and the one class that the file defines. There is no registry."""

import difflib
import importlib
import inspect
import pkgutil
import types
import typing
from collections.abc import Iterable
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ModelWrapValidatorHandler, model_validator
from pydantic import ValidationError as Invalid
from pydantic.errors import PydanticUndefinedAnnotation
from pydantic_core import InitErrorDetails, PydanticCustomError, core_schema

from attacks import origin

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
        try:
            return handler(value)
        except Invalid as invalid:
            details: list[InitErrorDetails] = []
            for error in invalid.errors(include_url=False):
                message = error["msg"]
                if error["type"] == "extra_forbidden" and len(error["loc"]) == 1:
                    message = unknown("key", str(error["loc"][0]), cls.model_fields)
                raised = (error.get("ctx") or {}).get("error")
                message += origin.at(raised) if raised else ""
                fault = PydanticCustomError("fault", "{message}", {"message": message})
                details.append(InitErrorDetails(type=fault, loc=error["loc"], input=error["input"]))
            raise Invalid.from_exception_data(cls.__name__, details) from None
        except Exception as error:
            if not origin.lines(error):
                raise
            raise ValueError(origin.in_full(error)) from error


def unknown(kind: str, given: str, known: Iterable[str]) -> str:
    """Return the message for an unknown name: the nearest legal ones first, then all of them."""
    known = sorted(known)
    near = difflib.get_close_matches(given, known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"unknown {kind} {given!r}{hint} (known: {', '.join(known)})"


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
    known = {known for m in modules for known in _names_in(f"{package}.{m}", contract)}
    raise ValueError(unknown(_kind(contract), name, known))


class ByName:
    """Annotation of a field: `Annotated[Defense, ByName("defenses")]` reads `{name: trades}`."""

    def __init__(self, package: str) -> None:
        self.package = package

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        def read(value: Any) -> Any:
            if isinstance(value, source):
                return value
            kind = _kind(source)
            if isinstance(value, str):
                value = {"name": value}
            if not isinstance(value, dict) or not isinstance(value.get("name"), str):
                raise ValueError(f"expected a {kind}: a mapping with a `name`, got {value!r}")
            return find(self.package, value["name"], source).model_validate(value)

        return core_schema.no_info_plain_validator_function(read)


def _kind(contract: type) -> str:
    """EvasionAttack -> evasion attack."""
    return "".join(f" {c.lower()}" if c.isupper() else c for c in contract.__name__).strip()


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
