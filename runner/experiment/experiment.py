"""The schema of an experiment's YAML."""

from typing import Annotated, Any, Self

from pydantic import (
    Field,
    NonNegativeInt,
    model_validator,
)
from pydantic import ValidationError as Invalid
from pydantic_core import InitErrorDetails, PydanticCustomError

from attacks.by_name import ByName, Keys
from runner.data import Data
from runner.experiment.fields import Arm, Report
from runner.experiment.fleet import Fleet
from runner.experiment.judging import (
    Averages,
    LowerBounds,
    Membership,
    Memorization,
    Stated,
    Vulnerable,
)
from runner.experiment.questions import (
    Answers,
    Name,
    Questions,
    Robustness,
)
from runner.experiment.sweep import Sweep
from runner.experiment.training import Design, Selection, Training
from runner.models import ImageShape, Model


class Experiment(Keys):
    """One YAML."""

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
        return Questions(answers, robustness, self.arms[arm].checkpoint)

    def remarks(self, arm: str, shape: ImageShape) -> tuple[str, ...]:
        """Return what a reader of an arm's figures must know."""
        found = self.arms[arm].remarks(shape)
        if self.selection and self.arms[arm].checkpoint == "best":
            return (*found, self.selection.remark)
        return found

    @model_validator(mode="before")
    @classmethod
    def _fill_arms(cls, data: Any) -> Any:
        """Give each arm the experiment's model and training, its own keys on top."""
        if not isinstance(data, dict) or not isinstance(data.get("arms"), dict):
            return data
        shared = {key: data[key] for key in ("model", "training") if key in data}
        arms = {
            name: {
                **arm,
                **{key: _merged(_keys(shared[key]), _keys(arm.get(key, {}))) for key in shared},
            }
            if isinstance(arm, dict)
            else arm
            for name, arm in data["arms"].items()
        }
        return {**data, "arms": arms}

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        from runner.experiment._refusals import faults_of  # it reads the classes above

        faults = [
            InitErrorDetails(
                type=PydanticCustomError("fault", "{why}", {"why": why}), loc=at, input=0
            )
            for at, why in faults_of(self)
        ]
        if faults:
            raise Invalid.from_exception_data("Experiment", faults)
        return self


def _keys(given: Any) -> Any:
    """A bare name as the mapping that it stands for."""
    return {"name": given} if isinstance(given, str) else given


def _merged(shared: Any, own: Any) -> Any:
    """The shared keys with an arm's own on top; null removes one, another `name` starts afresh."""
    if not isinstance(shared, dict) or not isinstance(own, dict):
        return own
    if "name" in shared and own.get("name", shared["name"]) != shared["name"]:
        return own
    merged = {**shared, **{key: _merged(shared.get(key), value) for key, value in own.items()}}
    return {key: value for key, value in merged.items() if value is not None}
