from typing import Any

import pytest
from pydantic import ValidationError

from runner.experiment import Experiment, Schedule
from runner.models.small_cnn import SmallCnn
from tests.conftest import TINY


def refused(**changes: Any) -> dict[str, str]:
    """The reasons, by dotted path."""
    with pytest.raises(ValidationError) as caught:
        Experiment.model_validate({**TINY, **changes})
    return {".".join(map(str, fault["loc"])): fault["msg"] for fault in caught.value.errors()}


def test_an_arm_takes_the_shared_recipe_with_its_own_keys_on_top():
    arm = {"defense": "erm", "training": {"epochs": 9}, "model": {"width": 8}}
    experiment = Experiment.model_validate(
        {**TINY, "arms": {"plain": {"defense": "erm"}, "own": arm}}
    )
    plain, own = experiment.arms["plain"], experiment.arms["own"]
    assert plain.training == experiment.training
    assert own.training == experiment.training.model_copy(update={"epochs": 9})
    assert own.model == experiment.model.model_copy(update={"width": 8})


def test_an_arm_with_another_model_starts_from_that_models_defaults():
    arm = {"defense": "erm", "model": {"name": "mlp"}}
    experiment = Experiment.model_validate({**TINY, "arms": {"a": arm}})
    assert experiment.arms["a"].model.name == "mlp"


def test_an_experiment_survives_its_own_dump(tiny: Experiment):
    assert Experiment.model_validate(tiny.model_dump()) == tiny
    assert Experiment.model_validate(tiny.model_dump(mode="json")) == tiny


def test_attacking_a_test_split_that_the_pool_holds_is_refused():
    data = {"name": "digits", "pool": "train+test"}
    assert "use `on: non_members`" in refused(data=data)["robustness.on"]


def test_too_few_models_for_a_pair_dropped_attack_are_refused():
    assert "use 6 or more" in refused(design={"num_models": 4})["design.num_models"]


def test_an_odd_number_of_models_is_refused():
    assert "7 is odd" in refused(design={"num_models": 7})["design.num_models"]


def test_batchnorm_over_several_cpu_workers_is_refused_once_where_it_is_written():
    faults = refused(fleet={"workers_per_run": 2})
    assert list(faults) == ["model.norm"]
    assert "use `norm: group`" in faults["model.norm"]


@pytest.mark.parametrize("num_gpus", [0.3, 1.5])
def test_odd_shares_of_a_gpu_are_refused(num_gpus: float):
    assert "GPU" in refused(fleet={"num_gpus": num_gpus})["fleet.num_gpus"]


def test_recipes_that_cannot_train_are_refused():
    def training(**keys: Any) -> dict[str, str]:
        return refused(training={**TINY["training"], **keys}, arms={"a": {"defense": "erm"}})

    assert "two examples" in training(batch_size=1)["training.batch_size"]
    assert "momentum" in training(nesterov=True, momentum=0.0)["training"]
    assert "longer" in training(schedule={"warmup_epochs": 3})["training"]


def test_a_lane_with_fewer_workers_than_a_run_needs_is_refused():
    fleet = {"workers_per_run": 4, "max_workers": 2}
    assert "no Run could start" in refused(fleet=fleet)["fleet"]


def test_an_arm_can_drop_a_shared_key_and_keep_the_rest_of_a_shared_mapping():
    shared = {"epochs": 9, "schedule": {"warmup_epochs": 5}}
    arm = {"defense": "erm", "model": {"width": None}, "training": {"schedule": {"name": "cosine"}}}
    experiment = Experiment.model_validate({**TINY, "training": shared, "arms": {"a": arm}})
    assert experiment.arms["a"].training.schedule.warmup_epochs == 5
    assert experiment.arms["a"].model == SmallCnn()


def test_views_are_known_and_asked_once():
    assert "did you mean 'flip'" in refused(answers={"views": ["flipp"]})["answers.views"]
    assert "twice" in refused(answers={"views": ["flip", "flip"]})["answers.views"]


def test_a_step_schedule_needs_milestones_and_only_it():
    assert Schedule(name="step", milestones=(3,)).milestones == (3,)
    for wrong in ({"name": "step"}, {"name": "cosine", "milestones": (3,)}):
        with pytest.raises(ValidationError, match="milestones"):
            Schedule.model_validate(wrong)


def test_a_name_that_is_no_folder_is_refused():
    assert "pattern" in refused(name="../x")["name"]
