"""The presets of DP-SGD's high-utility recipes: they are the published ones, and can be planned."""

from pathlib import Path
from typing import Any

import pytest

from defenses.dp_sgd import DPSGD
from runner.experiment import config
from runner.experiment.experiment import Experiment
from runner.plan.work import prepare
from tests.conftest import ROOT
from tests.made.datasets import write_cifar

FOLDER = ROOT / "configs" / "dp_sgd"
RECIPES = {  # Aerni et al. (2024): noise, batch size, epochs
    "high": (0.00625, 64, 16),
    "medium": (0.2, 2048, 200),
}


def loaded(name: str, *overrides: str) -> Experiment:
    return config.load(FOLDER / f"{name}.yaml", [*overrides], Experiment)


def test_the_recipes_at_full_size_are_the_published_ones():
    given = loaded("high_utility_cifar10")
    assert (given.design.name, given.design.num_models) == ("canaries", 64)
    assert given.data.augment.model_dump() == {"crop_padding": 4, "flip": True}
    for name, (noise, batch_size, epochs) in RECIPES.items():
        arm = given.arms[name]
        defense: Any = arm.defense
        assert isinstance(defense, DPSGD)
        assert (defense.noise_multiplier, defense.max_grad_norm) == (noise, 1.0)
        assert defense.augmentations == 8
        training = arm.training
        assert (training.batch_size, training.epochs, training.lr) == (batch_size, epochs, 4.0)
        assert (training.momentum, training.weight_decay, training.ema) == (0.0, 0.0, 0.9999)
        assert training.schedule.name == "constant"


def test_the_small_one_differs_in_scale_alone(tmp_path: Path):
    write_cifar(tmp_path, "cifar10", per_file=40)
    given, full = loaded("high_utility_cifar10_small"), loaded("high_utility_cifar10")
    assert given.arms.keys() == full.arms.keys()
    for name in RECIPES:
        ours, theirs = given.arms[name], full.arms[name]
        free = {"physical_batch_size"}
        assert ours.defense.model_dump(exclude=free) == theirs.defense.model_dump(exclude=free)
        scale = {"epochs", "batch_size", "precision"}
        assert ours.training.model_dump(exclude=scale) == theirs.training.model_dump(exclude=scale)
    small = ("data.num_examples=160", f"data.root={tmp_path}", "arms.medium.training.batch_size=64")
    work = prepare(loaded("high_utility_cifar10_small", *small), tmp_path / "storage")
    assert {len(runs) for runs in work.plan.arms.values()} == {given.design.num_models}
    assert all(run.defense.copies == 8 for run in work.plan.arms["high"])


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_preset_opens_with_its_command_and_cost(path: Path):
    head = path.read_text().partition("\nname:")[0]
    assert f"python -m runner run configs/dp_sgd/{path.name}" in head
    assert "# Cost:" in head
