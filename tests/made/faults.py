"""Every exception class of the source, read off it, and one exception of each."""

import ast
import builtins
import importlib
from functools import cache
from pathlib import Path

import pytest

from runner.experiment.config import Fault

HOUSE = Path(__file__).parents[2]
ARGUMENTS = {  # of those that take more than a message
    "ConfigError": ("x.yaml", [Fault("seed", "odd")]),
    "BadAnswers": ("a.npz", "odd", "mend it"),
    "Corrupt": ("a/b", "short"),
    "Stopped": (143,),
    "ShippedError": (ValueError("odd"),),
    "Failed": ("odd (at mine.py:1)", "a traceback"),
}


@cache
def exception_classes() -> list[tuple[str, str]]:
    """Return (module, class) of each exception that attacks/, defenses/ or runner/ defines."""
    classes = []
    for room in ("attacks", "defenses", "runner"):
        for path in sorted((HOUSE / room).rglob("*.py")):
            module = ".".join(path.relative_to(HOUSE).with_suffix("").parts)
            found = [
                n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.ClassDef)
            ]
            bases = {n.name: {ast.unparse(base).split(".")[-1] for base in n.bases} for n in found}
            classes += [(module.removesuffix(".__init__"), *item) for item in bases.items()]
    known = {name for name, kind in vars(builtins).items() if _raised(kind)}
    count = 0
    while count < len(known):  # one that is defined before its base is found the next time
        count = len(known)
        known |= {name for _, name, bases in classes if bases & known}
    return [(module, name) for module, name, _ in classes if name in known]


def one_of(module: str, name: str) -> BaseException:
    """Return an exception of a class; machines that only train have no Ray, and skip some."""
    if module in ("runner.fleet.preflight", "runner.cluster.connect", "runner.audit._ray_data"):
        pytest.importorskip("ray", reason="machines that only train have no Ray")
    if module == "runner.cluster._exposure":
        pytest.importorskip("grpc", reason="it comes with Ray")
    return getattr(importlib.import_module(module), name)(*ARGUMENTS.get(name, ("odd",)))


def _raised(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseException)
