"""Which files of Python a module is made of: its own, and those of all that it imports."""

import sys
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from importlib import metadata
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import NamedTuple

from runner.code._digests import source_at

# What we depend on stands in experiment.json with its version, and moves no id.
OURS = {
    *("PIL", "cloudpickle", "jinja2", "markdown_it", "matplotlib", "numpy", "opacus", "optuna"),
    "pandas",
    *("pyarrow", "pyautoattack", "pydantic", "pydantic_core", "ray", "rich", "safetensors"),
    *(
        "scipy",
        "sklearn",
        "tensorboard",
        "timm",
        "torch",
        "torchvision",
        "typer",
        "typing_extensions",
    ),
    "yaml",
}
SHIPPED = ("attacks", "defenses", "runner")  # our own packages


class Module(NamedTuple):
    """A module of which results may hang, found without running it."""

    name: str
    path: Path | None  # None: of an installed distribution
    is_package: bool = False
    distribution: str = ""
    version: str = ""

    @property
    def told(self) -> str:
        """What it is called: the same on every machine."""
        if self.path is None:
            return self.distribution
        inside = self.name.replace(".", "/")
        return f"{inside}/__init__.py" if self.is_package else f"{inside}{self.path.suffix}"


def closure(roots: Iterable[str], enter: Callable[[Module], bool]) -> dict[str, Module]:
    """Return modules and all that they import, by name; also what packages run on the way.

    The standard library and what the project depends on are left out.

    Args:
        roots: dotted names.
        enter: whether a module counts, and what it imports is looked at. Roots always are.
    """
    asked = {*roots}
    found: dict[str, Module] = {}
    left, seen = [*asked], set()
    while left:
        name = left.pop()
        if name in seen:
            continue
        seen.add(name)
        module = find(name)
        if module is None or not (name in asked or enter(module)):
            continue
        found[name] = module
        left += _next(module)
    return found


@cache
def find(name: str) -> Module | None:
    """Return a module that is neither ours to depend on nor Python's; None: it is, or is none."""
    top = name.partition(".")[0]
    if top in sys.stdlib_module_names or top in OURS:
        return None
    spec = _spec(name)
    if spec is None:
        return None
    installed = None if top in SHIPPED else _installed(top, spec)
    if installed:
        return Module(top, None, distribution=installed[0], version=installed[1])
    if spec.origin is None or not Path(spec.origin).is_file():
        return None  # a folder without __init__.py, or built in
    return Module(name, Path(spec.origin), spec.submodule_search_locations is not None)


def _next(module: Module) -> Iterator[str]:
    """What a module imports, and the packages that it lies in."""
    parts = module.name.split(".")
    yield from (".".join(parts[:end]) for end in range(1, len(parts)))
    if module.path is None:
        return
    for written, dots in source_at(module.path).imports:
        above = parts if module.is_package else parts[:-1]
        base = above[: len(above) - dots + 1] if dots else []
        whole = ".".join([*base, *([written] if written else [])])
        if whole:
            yield whole
            yield from (whole[:at] for at, letter in enumerate(whole) if letter == ".")


def _spec(name: str) -> ModuleSpec | None:
    """Where a module would be imported from; nothing is imported to find it."""
    path = None
    parent = name.rpartition(".")[0]
    if parent:
        above = _spec(parent)
        if above is None or above.submodule_search_locations is None:
            return None
        path = [*above.submodule_search_locations]
    for finder in sys.meta_path:
        look = getattr(finder, "find_spec", None)
        if look is None:
            continue
        try:
            found = look(name, path)
        except KeyError:  # a folder without __init__.py in a package that is not imported yet
            found = look(name.rpartition(".")[2], path)
        if found is not None:
            return found
    return None


def _installed(top: str, spec: ModuleSpec) -> tuple[str, str] | None:
    """The distribution that a module was installed from, with its version.

    None: it lies in a folder of the user's, or was installed from one, where a version says nothing
    of what is in it.
    """
    places = [spec.origin or "", *(spec.submodule_search_locations or ())]
    if not any({"site-packages", "dist-packages"} & {*Path(place).parts} for place in places):
        return None
    for name in _distributions().get(top, ()):
        of = metadata.distribution(name)
        if of.read_text("direct_url.json") is None:
            return of.name, of.version
    return None


@cache
def _distributions() -> dict[str, list[str]]:
    return {top: [*names] for top, names in metadata.packages_distributions().items()}
