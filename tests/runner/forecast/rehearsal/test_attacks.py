"""Evasion attacks that cannot be made on an arm's images and network, wherever they stand."""

from typing import Any

import pytest
import torch

from attacks.evasion import EvasionAttack, crafting
from runner.experiment.experiment import Experiment
from tests.conftest import TINY
from tests.made.odd_networks import rehearsed

PASSES = []  # through a network, by `Own`


class Own(EvasionAttack):
    """An attack of one's own, with a peculiarity."""

    name: str = "own"
    odd: str = ""
    num_steps: int = 5

    def perturb(self, model: Any, images: Any, labels: Any) -> Any:
        if self.odd == "left in train mode":
            model.train()
            return images
        if self.odd == "moves the weights":
            with torch.no_grad():
                next(model.parameters()).fill_(float("nan"))
            return images
        if self.odd == "three steps" and self.num_steps < 3:
            raise ValueError("it takes three steps")
        if self.odd == "cut in patches":
            return images.unfold(2, 16, 16)
        if self.odd == "in place":
            return images.add_(0.1)
        if self.odd == "out of range":
            return images + 2
        if self.odd == "long":
            with crafting(model) as network, torch.no_grad():
                for _ in range(10_000):
                    network(images)
                    PASSES.append(1)
        return images


def told(attack: EvasionAttack, **changes: Any) -> dict[str, str]:
    changes = changes or {"robustness": {"attacks": {"mine": attack}}}
    experiment = Experiment.model_validate({**TINY, **changes})
    return {fault.path: fault.reason for fault in rehearsed(experiment).faults}


@pytest.mark.parametrize(
    ("odd", "why"),
    [
        ("left in train mode", "it leaves the network in train mode"),
        ("moves the weights", "it changes the network's weights"),
        ("cut in patches", "own on small_cnn on 8x8 images of 1 channel: RuntimeError: "),
        ("in place", "it changes the images that it is given"),
        ("out of range", "it returns pixels outside of [0, 1]"),
    ],
)
def test_an_own_attack_that_fails_is_refused_once(odd: str, why: str):
    faults = told(Own(odd=odd))
    assert list(faults) == ["robustness.attacks.mine"]
    assert why in faults["robustness.attacks.mine"]


def test_an_attack_that_moves_weights_is_not_told_of_the_next_one():
    attacks = {"mine": Own(odd="moves the weights"), "next": {"name": "pgd", "eps": 0.1}}
    assert list(told(Own(), robustness={"attacks": attacks})) == ["robustness.attacks.mine"]


@pytest.mark.parametrize("odd", ["", "three steps"])
def test_an_own_attack_that_works_is_not_refused_though_in_short_it_may_fail(odd: str):
    assert told(Own(odd=odd)) == {}


def test_an_attack_that_takes_long_is_tried_for_a_while():
    PASSES.clear()
    assert told(Own(odd="long")) == {}
    assert 100 < len(PASSES) <= 200  # of one network: both arms have the same


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"answers": {"adversarial": {"moved": Own(odd="in place")}}}, "answers.adversarial.moved"),
        ({"selection": {"on": "held_out", "attack": Own(odd="in place")}}, "selection.attack"),
    ],
)
def test_attacks_are_tried_wherever_they_are_asked_for(changes: dict[str, Any], path: str):
    selection = {**changes.get("selection", {}), "num_examples": 20}
    changes = {**changes, **({"selection": selection} if "selection" in changes else {})}
    assert list(told(Own(), **changes)) == [path]
