"""Recipes that cannot train."""

from typing import Any

import pytest
from pydantic import ValidationError

from runner.experiment.training import Schedule
from tests.conftest import TINY
from tests.made.experiments import refused


def test_recipes_that_cannot_train_are_refused():
    def training(**keys: Any) -> dict[str, str]:
        return refused(training={**TINY["training"], **keys}, arms={"a": {"defense": "erm"}})

    assert "two examples" in training(batch_size=1)["training.batch_size"]
    assert "momentum" in training(nesterov=True, momentum=0.0)["training"]
    assert "longer" in training(schedule={"warmup_epochs": 3})["training"]


def test_a_step_schedule_needs_milestones_and_only_it():
    assert Schedule(name="step", milestones=(3,)).milestones == (3,)
    for wrong in ({"name": "step"}, {"name": "cosine", "milestones": (3,)}):
        with pytest.raises(ValidationError, match="milestones"):
            Schedule.model_validate(wrong)
