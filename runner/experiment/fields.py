"""The fields of an experiment's YAML."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, NonNegativeInt

from attacks.by_name import ByName, Keys
from defenses import Defense, Wrapper
from runner.data import Data
from runner.experiment.fleet import Fleet
from runner.experiment.judging import (
    Averages,
    LowerBounds,
    Membership,
    Memorization,
    Stated,
    Vulnerable,
)
from runner.experiment.questions import Answers, Checkpoint, Name, Questions, Robustness
from runner.experiment.sweep import Sweep
from runner.experiment.training import Design, Selection, Training
from runner.models import ImageShape, Model, built

if TYPE_CHECKING:
    from torch import nn


class Arm(Keys):
    """One defended recipe. `model` and `training` override single keys of the experiment's.

    Two arms that differ in `checkpoint` alone judge two epochs of the same Runs.
    """

    defense: Annotated[Defense, ByName("defenses")]
    model: Annotated[Model, ByName("runner.models")]
    training: Training
    checkpoint: Checkpoint = "last"

    def network(self, shape: ImageShape) -> nn.Module:
        """Return the network as it is trained: its shape, and numbers only where it needs some.

        Raises:
            ValueError: the defense cannot be built into this model.
        """
        return _shapes_of(lambda: self.defense.build(lambda: built(self.model, shape)))

    def remarks(self, shape: ImageShape) -> tuple[str, ...]:
        """Return what a reader of this arm's figures must know."""
        network = _shapes_of(lambda: built(self.model, shape))
        return (*self.model.remarks(shape), *self.defense.remarks(network))


def _shapes_of(build: Callable[[], nn.Module]) -> nn.Module:
    """What it builds, on the meta device; or on the CPU, as one that loads weights may want it.

    No global random generator moves.
    """
    import torch

    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")  # what is built in earnest warns then
        try:
            with torch.device("meta"):
                return build()
        except Exception:
            return build()


Images = Literal["none", "samples", "all"]


class Report(Keys):
    """What figures are drawn against: a number of the defenses, such as gamma. Moves no figure.

    images: which of the data a report shows. samples: the first ones of each class; all: also those
    of the examples at risk, and the page lists examples. None: all of data that are published byte
    for byte, none of any other.
    """

    against: str | None = None
    by: str | None = None  # a line for each value of this number of the defenses
    baseline: Name | None = None  # the arm that stands at 0 of every line
    images: Images | None = None
    ids: Literal["plain", "hashed"] = "plain"  # of examples, in results.json and in the report


class Fields(Keys):
    """Every block of an experiment, each valid by itself; `Experiment` holds them together."""

    name: Name
    description: str = ""  # printed at the top of the report
    seed: NonNegativeInt = 0
    data: Annotated[Data, ByName("runner.data")]
    model: Annotated[Model, ByName("runner.models")]
    training: Training
    design: Design = Design()
    selection: Selection | None = None
    arms: dict[Name, Arm] = Field(min_length=1)
    answers: Answers = Answers()
    robustness: Robustness = Robustness()
    membership: Membership = Membership()
    memorization: Memorization | None = None
    vulnerable: Vulnerable = Vulnerable()
    comparisons: tuple[tuple[Name, Name], ...] | None = None  # of two arms; None: the obvious ones
    averages: Averages = Averages()
    guarantee: Stated = Stated()
    epsilon: LowerBounds = LowerBounds()
    report: Report = Report()
    sweep: Sweep | None = None
    fleet: Fleet = Fleet()

    def questions(self, arm: str) -> Questions:
        """Return what a model of this arm is asked, and how it is attacked."""
        randomized = self.arms[arm].defense.randomized
        answers, robustness = self.answers.settled(randomized), self.robustness.settled(randomized)
        return Questions(answers, robustness, self.arms[arm].checkpoint).planned()

    def remarks(self, arm: str, shape: ImageShape) -> tuple[str, ...]:
        """Return what a reader of an arm's figures must know."""
        asked = self.questions(arm)
        robust = asked.robustness
        attacks = [*robust.attacks.items(), *robust.sanity.attacks.items()]
        attacks += asked.answers.adversarial.items()
        if self.selection and self.selection.attack and self.arms[arm].checkpoint == "best":
            randomized = self.arms[arm].defense.randomized
            attacks.append(("the best epoch", self.selection.attack.settled(randomized)))
        said = dict.fromkeys(f"{name}: {of.remark}" for name, of in attacks if of.remark)
        found = (*self.arms[arm].remarks(shape), *said)
        if self.selection and self.arms[arm].checkpoint == "best":
            return (*found, self.selection.remark)
        return found


def dials(defense: Defense) -> dict[str, float]:
    """Return every number among a defense's fields, and its base's where the names differ."""
    found = dials(defense.base) if isinstance(defense, Wrapper) else {}
    own = {key: getattr(defense, key) for key in type(defense).model_fields}
    numbers = {k: v for k, v in own.items() if isinstance(v, int | float)}
    return found | {k: float(v) for k, v in numbers.items() if not isinstance(v, bool)}
