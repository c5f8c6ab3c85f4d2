"""Recipes that cannot train."""

from typing import Any

import pytest
from pydantic import ValidationError

from runner.experiment.experiment import Experiment
from runner.experiment.training import Schedule
from tests.conftest import TINY
from tests.made.experiments import refused


def test_recipes_that_cannot_train_are_refused():
    def training(**keys: Any) -> dict[str, str]:
        return refused(training={**TINY["training"], **keys}, arms={"a": {"defense": "erm"}})

    assert "two examples" in training(batch_size=1)["training.batch_size"]
    assert "momentum" in training(nesterov=True, momentum=0.0)["training"]
    assert "adam does not" in training(nesterov=True, optimizer="adam")["training"]


@pytest.mark.parametrize("at", ["training", "arms.a.training"])
@pytest.mark.parametrize(
    ("schedule", "key", "told"),
    [
        ({"warmup_epochs": 11}, "warmup_epochs", "longer than the 10"),
        ({"warmup_epochs": 10}, "warmup_epochs", "leaves cosine none of the 10"),
        ({"name": "step", "milestones": [4, 10]}, "milestones", "got 10. Leave"),
        ({"name": "step", "milestones": [10.5, 99]}, "milestones", "got 10.5, 99. Leave"),
        ({"name": "step", "milestones": [2, 4], "warmup_epochs": 2}, "milestones", "got 2. Leave"),
        ({"name": "step", "milestones": [4, 2]}, "milestones", r"did you mean [2, 4]?"),
        ({"name": "step", "milestones": [4, 4]}, "milestones", r"did you mean [4]?"),
        ({"name": "constant", "factor": 0.5}, "", "constant does not look at it"),
    ],
)
def test_what_a_schedule_would_never_come_to_is_refused_at_its_key(
    at: str, schedule: dict[str, Any], key: str, told: str
):
    shared: dict[str, Any] = {**TINY["training"], "epochs": 10}
    arm: dict[str, Any] = {"defense": "erm"}
    if at == "training":
        shared["schedule"] = schedule
    else:
        arm["training"] = {"schedule": schedule}
    reasons = refused(training=shared, arms={"a": arm})
    assert told in reasons[".".join(filter(None, (at, "schedule", key)))]


def test_a_warm_up_may_last_as_long_as_training_where_nothing_follows_it():
    schedule = {"name": "constant", "warmup_epochs": 2}
    made = Experiment.model_validate(
        {**TINY, "training": {**TINY["training"], "schedule": schedule}}
    )
    assert made.training.schedule.warmup_epochs == made.training.epochs


def test_a_step_schedule_needs_milestones_and_only_it():
    assert Schedule(name="step", milestones=(3,)).milestones == (3,)
    for wrong in ({"name": "step"}, {"name": "cosine", "milestones": (3,)}):
        with pytest.raises(ValidationError, match="milestones"):
            Schedule.model_validate(wrong)
