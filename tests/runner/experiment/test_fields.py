"""An arm is the shared recipe with its own keys on top; its dials are its defense's numbers."""

from typing import Any

import pytest

from defenses import Defense
from defenses.demem import DeMem
from defenses.erm import ERM
from defenses.residual_perturbation import ResidualPerturbation
from defenses.trades import TRADES
from runner.experiment.experiment import Experiment
from runner.experiment.fields import dials
from runner.models import ImageShape
from runner.models.mlp import Mlp
from runner.models.small_cnn import SmallCnn
from tests.conftest import TINY


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


@pytest.mark.parametrize("own", [{}, {"model": "mlp"}, {"model": {"hidden": [8]}}])
def test_a_model_is_also_named_by_its_name_alone(own: dict[str, Any]):
    arms = {"a": {"defense": "erm", **own}}
    experiment = Experiment.model_validate({**TINY, "model": "mlp", "arms": arms})
    wanted = own["model"] if isinstance(own.get("model"), dict) else {}
    assert experiment.model == Mlp()
    assert experiment.arms["a"].model == Mlp(**wanted)


@pytest.mark.parametrize(
    ("defense", "expected"),
    [
        (ERM(), {}),
        (DeMem(weight=0.2, base=TRADES(beta=3)), {"weight": 0.2, "beta": 3.0}),
        (
            ResidualPerturbation(gamma=0.5, members=5, base=DeMem(weight=0.1, base=ERM())),
            {"gamma": 0.5, "eta": 0, "last_layer_noise": 0, "members": 5, "weight": 0.1},
        ),
    ],
)
def test_dials_are_the_numbers_of_a_defense_and_of_its_base(
    defense: Defense, expected: dict[str, float]
):
    assert dials(defense) == expected


def test_an_arm_can_drop_a_shared_key_and_keep_the_rest_of_a_shared_mapping():
    shared = {"epochs": 9, "schedule": {"warmup_epochs": 5}}
    arm = {"defense": "erm", "model": {"width": None}, "training": {"schedule": {"name": "cosine"}}}
    experiment = Experiment.model_validate({**TINY, "training": shared, "arms": {"a": arm}})
    assert experiment.arms["a"].training.schedule.warmup_epochs == 5
    assert experiment.arms["a"].model == SmallCnn()


def test_what_a_reader_must_know_of_an_attack_is_said_wherever_it_is_used():
    """An adversarial view, and the choice of the best epoch, are no less AutoAttack's."""
    arm = {"defense": "erm", "checkpoint": "best"}
    whole, theirs = {"name": "autoattack"}, {"name": "autoattack", "square": "package"}
    experiment = Experiment.model_validate(
        {
            **TINY,
            "arms": {"last": {"defense": "erm"}, "best": arm},
            "selection": {"attack": whole, "num_examples": 8},
            "answers": {"adversarial": {"view": whole, "published": theirs}},
            "robustness": {"attacks": {"aa": whole}},
        }
    )
    shape = ImageShape(1, 8, 8, 10, (0.5,), (0.5,))
    named = {
        name: [said.split(":")[0] for said in experiment.remarks(name, shape)]
        for name in ("last", "best")
    }
    assert named["last"] == ["aa", "view"]
    assert named["best"][:3] == ["aa", "view", "the best epoch"]
