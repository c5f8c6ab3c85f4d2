"""What is tried, and how what fails is told."""

import re
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numpy as np

from attacks import origin
from attacks.by_name import Keys
from runner.data import Dataset
from runner.experiment.experiment import Experiment
from runner.forecast.rehearsal._few import Few
from runner.models import ImageShape, image_shape
from runner.plan.plan import Run

T = TypeVar("T")
LENGTHS = ("epochs", "num_steps")
NEEDS_GPU = re.compile(r"\b(cuda|nvidia|hip)\b|not implemented for 'BFloat16'", re.IGNORECASE)


class Arm(NamedTuple):
    """What is tried."""

    name: str
    run: Run  # its first, with no more networks in one than the defense needs
    few: Few
    experiment: Experiment
    dataset: Dataset

    @property
    def shape(self) -> ImageShape:
        return image_shape(self.dataset)

    @property
    def model(self) -> str:
        """What is tried, in words."""
        channels, height, width = self.shape[:3]
        channel = "channel" if channels == 1 else "channels"
        return f"{self.run.model.name} on {height}x{width} images of {channels} {channel}"

    def at(self, key: str) -> str:
        """The place of a fault: the block that all arms share, where the arm has no other."""
        shared = getattr(self.experiment, key, None)
        own = getattr(self.experiment.arms[self.name], key)
        return key if own == shared else f"arms.{self.name}.{key}"


class Untried(Exception):
    """It needs a GPU, and will have one; why."""


def tried(doing: Callable[[], T], arm: Arm, bare: bool = False) -> tuple[T | None, str]:
    """What came of it, or why nothing did.

    Args:
        bare: a ValueError says all that there is to say.

    Raises:
        Untried: it failed for want of a GPU, and the fleet has some.
    """
    try:
        return doing(), ""
    except (Exception, SystemExit) as error:
        if origin.leaves(error):
            raise
        if arm.experiment.fleet.num_gpus and NEEDS_GPU.search(origin.message(error)):
            raise Untried(told(error)) from None
        return None, str(error) if bare and isinstance(error, ValueError) else told(error)


def told(error: BaseException) -> str:
    """Return what an error says; of a user's file also where, and the whole traceback's place."""
    return origin.in_full(error) if origin.lines(error) else origin.told(error)


def sort_of(value: Any) -> Any:
    """Return what tells things apart that must each be tried.

    A float counts by its sign, and how many steps or epochs there are does not count.
    """
    if isinstance(value, Keys):
        value = value.model_dump()
    if isinstance(value, dict):
        return {key: sort_of(inner) for key, inner in value.items() if key not in LENGTHS}
    if isinstance(value, tuple | list):
        return [sort_of(inner) for inner in value]
    return float(np.sign(value)) if isinstance(value, float) else value
