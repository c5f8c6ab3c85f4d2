"""What lies in a copy of the house as `defenses/_gate.py`: a training's fifth step has to wait."""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from torch import nn

STEP = 5
PASSED = STEP + 1  # more than this is not counted


def standing(losses_at: Callable[..., Any]) -> Callable[..., Any]:
    """Return the same losses, which a network has from its fifth step on once it may."""
    steps: WeakKeyDictionary[nn.Module, int] = WeakKeyDictionary()

    def at_the_gate(defense: object, model: nn.Module, *given: Any) -> Any:
        steps[model] = min(steps.get(model, 0) + 1, PASSED)
        if steps[model] == STEP and not _wait():
            steps[model] -= 1  # it is let go on for this step only
        return losses_at(defense, model, *given)

    return at_the_gate


def _wait() -> bool:
    """Wait until this training may go on; whether it is to be asked no more."""
    gate = Path(Path(__file__).with_name("gate.txt").read_text())
    while not (gate / "open").exists():
        for one in gate.glob("pass-*"):
            with suppress(FileNotFoundError):  # another training took it
                one.rename(one.with_name(one.name.replace("pass", "taken")))
                return True
        if (gate / "slow").exists():
            time.sleep(0.5)
            return False
        time.sleep(0.05)
    return True
