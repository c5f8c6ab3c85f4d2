"""A small experiment with canaries."""

from typing import Any

from runner.experiment.experiment import Experiment
from tests.conftest import TINY

NUM = 40  # canaries; the pool of TINY has 200 images

LEAN = {  # what a canary audit asks of TINY
    "name": "lean",
    "arms": {"erm": {"defense": "erm"}},
    "robustness": {},
    "membership": {"attacks": {"loss": {"name": "threshold"}}},
}


def audited(
    num_models: int = 3, changes: dict[str, Any] | None = None, **canaries: Any
) -> Experiment:
    """A small experiment with canaries."""
    design = {"name": "canaries", "num_models": num_models, "canaries": {"num": NUM, **canaries}}
    return Experiment.model_validate({**TINY, **LEAN, "design": design, **(changes or {})})
