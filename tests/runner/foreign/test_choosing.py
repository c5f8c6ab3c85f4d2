"""Which attacks there are models for, told before anything is written."""

from typing import Any

import numpy as np
import pytest

from runner.experiment.config import validate
from runner.faults import BadAnswers
from runner.foreign.answered import Kind
from runner.foreign.choosing import chosen
from runner.foreign.members import partners
from runner.foreign.schema import Audit
from tests.made.given import labels_of, member_of

LOGITS = Kind(("identity",), 3, ("log_odds", "logits", "correct"))
COINS = (np.random.default_rng(0).random((6, 40)) < 0.5).astype(np.int8)


def ask(member: np.ndarray, **attack: Any) -> None:
    """Ask for one attack."""
    audit = validate({"membership": {"attacks": {"x": attack}}}, Audit, "x.yaml")
    chosen(audit, LOGITS, member, partners(member), labels_of(member.shape[1]))


def once(column: int, inside: int) -> np.ndarray:
    """A matrix of 6 models of which so many were trained on one example."""
    member = COINS.copy()
    member[:, column] = np.arange(6) < inside
    return member


@pytest.mark.parametrize("inside", [0, 1, 2, 4, 5, 6])
def test_rmia_has_a_score_from_models_of_either_kind(inside: int):
    member = once(3, inside)
    ask(member, name="rmia")
    if inside >= 5:
        with pytest.raises(BadAnswers, match="needs 1 other models not trained on it"):
            ask(member, name="rmia", mode="offline")
    if inside < 3 or inside > 3:
        with pytest.raises(BadAnswers, match="needs 2 other models"):
            ask(member, name="lira")


def test_without_a_shadow_that_is_judged_on_an_example_rmia_is_refused():
    with pytest.raises(BadAnswers, match="needs other models for every example"):
        ask(member_of(2), name="rmia")
    member = COINS.copy()
    member[1:, 7] = -1
    with pytest.raises(BadAnswers, match="needs other models for every example"):
        ask(member, name="rmia")


def test_a_threshold_of_each_class_needs_members_and_others_of_each_class():
    labels = labels_of(40)
    member = COINS.copy()
    ask(member, name="threshold", per_class=True)
    member[:, labels == 1] = 0
    member[0, labels == 1] = 1
    ask(member, name="threshold")
    with pytest.raises(BadAnswers, match=r"class 1 has none that was trained on .* beside model 0"):
        ask(member, name="threshold", per_class=True)


def test_losses_of_a_training_are_no_answers_and_their_attack_is_refused():
    with pytest.raises(BadAnswers, match="it reads loss_trace, and the answers have log_odds, log"):
        ask(COINS, name="loss_trace")


def test_an_example_that_no_other_model_holds_is_judged_by_proxies_and_two_models_without_it():
    member = (np.random.default_rng(1).random((16, 40)) < 0.4).astype(np.int8)
    member[:, 3] = 0
    ask(member, name="pmia")
    with pytest.raises(BadAnswers, match="needs 2 other models trained on it"):
        ask(member, name="lira")
    member[:14, 3] = 1
    with pytest.raises(BadAnswers, match="needs 2 other models not trained on it"):
        ask(member, name="pmia")


def test_more_shadows_than_a_target_has_are_refused():
    ask(COINS, name="shadow_mlp", num_shadows=5)
    with pytest.raises(BadAnswers, match="needs 6 other models, and some target has 5"):
        ask(COINS, name="shadow_mlp", num_shadows=6)
    with pytest.raises(BadAnswers, match="needs 1 other models, and some target has 0"):
        ask(member_of(2), name="shadow_mlp")
