"""One YAML as a validated object: its fields, filled in and held together."""

from typing import Any, Self

from pydantic import ValidationError as Invalid
from pydantic import model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from runner.experiment._refusals import faults_of
from runner.experiment.fields import Fields

# Where no attacks are named, of designs that the usual ones do not suit: `quarters` gives a target
# one shadow, trained without its examples, and on canaries all attacks share the error of a bound.
USUAL_OF = {"quarters": {"shadow_mlp": "shadow_mlp"}, "canaries": {"lira_online": "lira"}}


class Experiment(Fields):
    """One YAML."""

    @model_validator(mode="before")
    @classmethod
    def _choose_attacks(cls, data: Any) -> Any:
        """Give a design attacks that it can have, where none are named."""
        if not isinstance(data, dict) or not isinstance(design := data.get("design"), dict):
            return data
        membership = data.get("membership", {})
        usual = USUAL_OF.get(str(design.get("name")))
        if usual is None or not isinstance(membership, dict) or "attacks" in membership:
            return data
        return {**data, "membership": {**membership, "attacks": usual}}

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
    if not isinstance(shared, dict) and own == {}:
        return shared  # what is wrong with it is told once
    if not isinstance(shared, dict) or not isinstance(own, dict):
        return own
    if "name" in shared and own.get("name", shared["name"]) != shared["name"]:
        return own
    merged = {**shared, **{key: _merged(shared.get(key), value) for key, value in own.items()}}
    return {key: value for key, value in merged.items() if value is not None}
