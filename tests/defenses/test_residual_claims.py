"""When residual perturbation claims a guarantee, which figure it is, and why it is not one."""

import math
from typing import Any

import numpy as np
import pytest
from torch import nn

from attacks.by_name import find
from defenses import Facts, Guarantee
from defenses.dp_sgd import DPSGD
from defenses.residual_perturbation import ResidualPerturbation
from runner.models import ImageShape, Model

SHAPE = ImageShape(1, 8, 8, 4, (0.5,), (0.2,))
BOUNDS = {"G": 3.0, "R": 5.0, "B": 2.0, "a": 1.5}
FULL_2 = {"strategy": "II", "gamma": 0.5, "eta": 0.1, "last_layer_noise": 0.7}


def resnet8() -> nn.Module:
    return find("runner.models", "resnet8", Model).model_validate({"name": "resnet8"}).build(SHAPE)


def guarantee_of(assumed: dict[str, float] = BOUNDS, **fields: Any) -> Guarantee:
    defense = ResidualPerturbation.model_validate(fields)
    return defense.guarantee(Facts(defense.build(resnet8), 1000, 128, 3, 1e-5, assumed))


def smallest_epsilon(s: float, K: float) -> float:
    """Over a grid of lambda, the smallest root of s lambda epsilon = K alpha."""
    roots = []
    for lam in np.linspace(0.001, 0.999, 20_000):
        a, b, c = s * lam * (1 - lam), -K * (1 - lam), -K * math.log(1e5)
        roots.append((-b + math.sqrt(b * b - 4 * a * c)) / (2 * a))
    return min(roots)


@pytest.mark.parametrize("members", [1, 2])
def test_strategy_i_claims_theorem_1_of_its_steps_and_members(members: int):
    found = guarantee_of(gamma=2.0, members=members)  # pi is gamma / 2
    uses = 3  # of each image: once an epoch
    s = min(1.0 / 5.0, 2.0 / 3.0) ** 2
    assert found.epsilon == pytest.approx(smallest_epsilon(s, 2 * members * uses), rel=1e-5)
    assert (found.status, found.of, found.delta) == ("claimed", "the weights", 1e-5)
    assert "G = 3" in found.why
    assert "Theorem 1" in found.why


@pytest.mark.parametrize("members", [1, 2])
def test_strategy_ii_claims_theorem_2_of_three_mappings_for_one_answer(members: int):
    found = guarantee_of(**FULL_2, members=members)
    s = min(0.5 * 0.1 / 2.0, 0.7 / 1.5) ** 2
    assert found.epsilon == pytest.approx(smallest_epsilon(s, 2 * members * 3), rel=1e-5)
    assert (found.status, found.of) == ("claimed", "one answer")
    assert "Theorem 2" in found.why


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"gamma": 0.0}, "gamma and pi above 0"),
        ({"gamma": 1.0, "pi": 0.0}, "pi above 0"),
        ({**FULL_2, "gamma": 0.0}, "gamma above 0"),
        ({**FULL_2, "eta": 0.0}, "eta above 0"),
        ({**FULL_2, "last_layer_noise": 0.0}, "last_layer_noise above 0"),
        ({"gamma": 1.0, "strategy": "enresnet"}, "batch's standard deviation"),
        ({"gamma": 1.0, "skip": False}, "skip: false"),
        ({"gamma": 1.0, "base": "pgd_at"}, "pgd_at makes several"),
        ({"gamma": 1.0, "base": {"name": "demem", "base": "erm"}}, "demem couples"),
        ({"gamma": 1e-200}, "beyond any float"),
    ],
)
def test_a_premise_that_fails_leaves_no_guarantee_and_says_why(fields: dict[str, Any], why: str):
    found = guarantee_of(**fields)
    assert (found.epsilon, found.status) == (None, "none")
    assert why in found.why


@pytest.mark.parametrize(
    ("fields", "assumed", "why"),
    [
        ({"gamma": 1.0}, {}, "nothing bounds G and R; give guarantee.G and guarantee.R"),
        ({"gamma": 1.0}, {"G": 30.0}, "nothing bounds R; give guarantee.R"),
        (FULL_2, {"G": 30.0, "a": 1.0}, "nothing bounds B; give guarantee.B"),
    ],
)
def test_bounds_are_never_invented(fields: dict[str, Any], assumed: dict[str, float], why: str):
    found = guarantee_of(assumed, **fields)
    assert (found.epsilon, found.status) == (None, "none")
    assert why in found.why


@pytest.mark.parametrize("fields", [{"gamma": 0.0}, {"gamma": 1.0}, FULL_2])
def test_a_proof_of_the_base_stands(fields: dict[str, Any]):
    base = DPSGD(noise_multiplier=1.0, accountant="rdp")
    alone = base.guarantee(Facts(base.build(resnet8), 1000, 128, 3, 1e-5))
    assert alone.status == "proved"
    assert guarantee_of(**fields, base=base) == alone
    for unproved in ({"noise_multiplier": 0.0}, {"noise_multiplier": 1, "poisson_sampling": False}):
        found = guarantee_of(**fields, base=DPSGD.model_validate(unproved))
        assert (found.epsilon, found.status) == (None, "none")
        assert "plain SGD" in found.why
