"""A membership attack that could not judge the answers is refused before anything is trained."""

from typing import Any, ClassVar

import numpy as np
import pytest

from attacks.membership import Examples, MembershipAttack, Needs
from attacks.membership.lira import Lira
from attacks.membership.quantile import Quantile
from attacks.membership.rmia import RMIA
from attacks.membership.threshold import Threshold
from runner.experiment.experiment import Experiment
from runner.forecast.rehearsal._membership import faults_of_membership
from tests.conftest import NOISY, TINY
from tests.made.experiments import refused
from tests.made.odd_networks import work_of


class Own(MembershipAttack):
    """The target's log-odds less those of models trained without the example."""

    name: str = "own"
    outs: int = 1  # that it takes
    says: int = 1  # that it says to take
    spoilt: str = ""

    def needs(self, num_views: int = 1) -> Needs:
        return Needs(0, self.says)

    def score(
        self,
        target: np.ndarray,
        shadows: np.ndarray,
        shadow_member: np.ndarray,
        examples: Examples,
        seed: int = 0,
    ) -> np.ndarray:
        if self.spoilt == "one view":
            target = target.reshape(len(target))[:, None]
        if self.spoilt == "two classes":
            assert examples.num_classes == 2, "a task of two classes"
        out = (shadow_member == 0)[:, :, None]
        usual = np.sum(shadows, axis=0, where=out) / np.maximum(out.sum(0), 1)
        scores = (target - usual).mean(1)
        scores[(shadow_member == 0).sum(0) < self.outs] = np.nan
        return scores[:, None] if self.spoilt == "shape" else scores


class OfTarget(Own):
    name: str = "of_target"
    per_target: ClassVar[bool] = True


def told(attack: MembershipAttack, base: dict[str, Any] = TINY, **changes: Any) -> list[str]:
    made = {**base, **changes, "membership": {"attacks": {"mine": attack}}}
    faults = [*faults_of_membership(work_of(Experiment.model_validate(made)))]
    assert all(fault.path == "membership.attacks.mine" for fault in faults)
    return [fault.reason for fault in faults]


@pytest.mark.parametrize("kind", [Own, OfTarget])
def test_an_own_attack_that_judges_all_is_not_refused(kind: type[Own]):
    assert told(kind()) == []


@pytest.mark.parametrize("kind", [Own, OfTarget])
@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ({"outs": 3}, "judged examples no score"),  # six models leave two
        ({"spoilt": "shape"}, "expected"),
        ({"spoilt": "two classes"}, "AssertionError: a task of two classes"),
    ],
)
def test_an_own_attack_that_fails_is_refused_with_its_reason(
    kind: type[Own], keys: dict[str, Any], why: str
):
    (fault,) = told(kind(**keys))
    assert "with 1 views, 10 classes, 6 models" in fault
    assert why in fault


def test_known_non_members_that_some_half_may_have_too_few_of_are_refused():
    """The first half that is tried has 20 of a model's 49; of dozens of halves some have not."""
    data = {"name": "digits", "num_examples": 98}
    (fault,) = told(Quantile(), data=data)
    assert "expected 20 known non-members or more" in fault
    assert told(Quantile(), data=data | {"num_examples": 160}) == []


def test_an_attack_for_one_view_is_refused_where_there_are_two():
    views = {"answers": {"views": ["identity", "flip"]}}
    assert told(Own(spoilt="one view")) == []
    (fault,) = told(Own(spoilt="one view"), **views)
    assert "ValueError: cannot reshape" in fault
    assert "(at test_membership.py:" in fault


def test_an_own_attack_that_says_what_it_needs_is_refused_by_its_word():
    mine = {"attacks": {"mine": Own(says=3)}}
    assert "own needs 3 other models" in refused(membership=mine)["membership.attacks.mine"]


@pytest.mark.parametrize("base", [TINY, NOISY], ids=["pairs", "quarters"])
@pytest.mark.parametrize("protocol", ["respert-paper", "salem-code"])
def test_the_shadow_attack_is_not_refused_of_either_design(base: dict[str, Any], protocol: str):
    attack = {"name": "shadow_mlp", "protocol": protocol}
    assert told(attack, base) == []  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("kind", [Own, OfTarget])
def test_an_own_attack_has_one_shadow_without_each_example_of_quarters(kind: type[Own]):
    assert told(kind(), NOISY) == []
    (fault,) = told(kind(outs=2), NOISY)
    assert "judged examples no score" in fault


@pytest.mark.parametrize(
    "attack",
    [Threshold(), Threshold(per_class=True), RMIA(mode="offline", preset="rmia-2024"), Quantile()],
    ids=["alone", "by class", "of one reference", "told"],
)
def test_an_attack_with_one_shadow_or_none_is_not_refused_of_quarters(attack: MembershipAttack):
    more = {"data": {"name": "digits", "num_examples": 400}, "answers": {"logits": "all"}}
    assert told(attack, NOISY, **more) == []


def test_the_authors_lira_which_evens_numbers_of_shadows_is_refused_of_quarters():
    attack = Lira(preset="lira-carlini-code", mode="offline", variance="total")
    (fault,) = told(attack, NOISY)
    assert "judged examples no score" in fault
