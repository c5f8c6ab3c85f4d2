"""What concerns more than one key of an experiment is refused at its place, with the way out."""

from typing import Any

import pytest
from scipy.stats import binom

from runner.experiment._refusals import _enough_coins
from runner.experiment.experiment import Experiment
from tests.conftest import NOISY, TINY
from tests.made.experiments import refused


def test_attacking_a_test_split_that_the_pool_holds_is_refused():
    data = {"name": "digits", "pool": "train+test"}
    assert "use `on: non_members`" in refused(data=data)["robustness.on"]


def test_too_few_models_for_a_pair_dropped_attack_are_refused():
    assert "use 6 or more" in refused(design={"num_models": 4})["design.num_models"]


@pytest.mark.parametrize("name", ["pairs", "quarters"])
def test_an_odd_number_of_models_is_refused(name: str):
    faults = refused(NOISY, design={"name": name, "num_models": 7})
    assert faults == {"design.num_models": f"`{name}` trains models two by two: 7 is odd"}


def test_one_pair_of_quarters_is_enough():
    design = {"name": "quarters", "num_models": 2}
    assert Experiment.model_validate({**NOISY, "design": design}).design.num_models == 2


@pytest.mark.parametrize(
    ("keys", "wanted"),
    [
        ({"name": "lira"}, "2 trained with and 2 trained without it"),
        ({"name": "lira", "mode": "offline"}, "2 trained without it"),
        ({"name": "lira", "mode": "offline", "variance": "pooled"}, "2 trained without it"),
        ({"name": "pmia"}, "2 trained without it"),
        ({"name": "rmia"}, "1 trained with and 1 trained without it"),
        ({"name": "info_rmia"}, "1 trained with and 1 trained without it"),
    ],
)
def test_an_attack_that_takes_more_than_a_shadow_without_the_example_is_refused_over_quarters(
    keys: dict[str, Any], wanted: str
):
    attacks = {"own": {"name": "shadow_mlp"}, "more": keys}
    faults = refused(NOISY, membership={"attacks": attacks})
    assert list(faults) == ["membership.attacks.more"]
    why = faults["membership.attacks.more"]
    assert f"{keys['name']} needs other models of each example, {wanted}, and" in why
    assert "gives a target one shadow model, trained without any that it is judged on" in why
    assert "use `pairs` for it, or an attack that makes do with such a one or none" in why


@pytest.mark.parametrize(
    "keys",
    [
        *({"name": "threshold", "statistic": s} for s in ("loss", "confidence")),
        {"name": "threshold", "statistic": "modified_entropy", "per_class": True},
        {"name": "rmia", "mode": "offline"},
        {"name": "info_rmia", "mode": "offline"},
        {"name": "lira", "mode": "offline", "variance": "total"},
        *({"name": "label_only", "calibrate": c} for c in ("none", "out")),
        {"name": "quantile"},
    ],
)
def test_an_attack_that_makes_do_with_one_shadow_or_none_goes_with_quarters(keys: dict[str, Any]):
    found = Experiment.model_validate({**NOISY, "membership": {"attacks": {"one": keys}}})
    assert found.membership.attacks["one"].name == keys["name"]


def test_the_shadow_attack_goes_with_either_design():
    design = {"name": "pairs", "num_models": 6}
    assert Experiment.model_validate({**NOISY, "design": design}).design.name == "pairs"


def test_a_shadow_arm_that_is_no_arm_is_refused_with_the_nearest_one():
    attacks = {"plain": {"name": "shadow_mlp", "shadow_arm": "ermm"}}
    assert refused(NOISY, membership={"attacks": attacks}) == {
        "membership.attacks.plain.shadow_arm": (
            "unknown arm 'ermm'; did you mean 'erm'? (known: erm, noisy)"
        )
    }


def test_more_shadows_than_the_design_gives_are_refused():
    def faults(base: dict[str, Any], num_shadows: int, **design: Any) -> dict[str, str]:
        attacks = {"own": {"name": "shadow_mlp", "num_shadows": num_shadows}}
        return refused(base, design=design, membership={"attacks": attacks})

    at = "membership.attacks.own.num_shadows"
    one = faults(NOISY, 2, name="quarters", num_models=4)
    four = faults(TINY, 5, name="pairs", num_models=6)
    assert set(one) == set(four) == {at}
    assert "the design gives a target 1 shadow models" in one[at]
    assert "the design gives a target 4 shadow models; ask for no more" in four[at]
    attacks = {"own": {"name": "shadow_mlp", "num_shadows": 4}}
    Experiment.model_validate({**TINY, "membership": {"attacks": attacks}})


def test_a_figure_against_what_no_defense_has_is_refused_with_what_they_have():
    report = {"against": "gama", "by": "beta", "baseline": "noise"}
    faults = refused(NOISY, report=report)
    assert list(faults) == ["report.against", "report.by", "report.baseline"]
    assert "did you mean 'gamma'?" in faults["report.against"]
    assert "unknown number of these defenses 'beta'" in faults["report.by"]
    assert "did you mean 'noisy'?" in faults["report.baseline"]
    good = {"against": "gamma", "by": "members", "baseline": "erm"}
    assert Experiment.model_validate({**NOISY, "report": good}).report.by == "members"


def test_per_example_gradients_are_refused_over_two_workers_and_in_bf16():
    arms = {"private": {"defense": {"name": "dp_sgd", "noise_multiplier": 1}}}
    model = {"name": "small_cnn", "width": 4, "norm": "group"}
    workers = refused(model=model, arms=arms, fleet={"workers_per_run": 2})
    assert workers == {
        "arms.private.defense": "dp_sgd needs a whole batch in one worker; use "
        "fleet.workers_per_run: 1"
    }
    halves = refused(model=model, arms=arms, training={"epochs": 1, "precision": "bf16"})
    assert list(halves) == ["arms.private.defense"]
    assert "use training.precision: fp32 or auto for this arm" in halves["arms.private.defense"]
    auto = {"model": model, "arms": arms, "training": {"epochs": 1}}
    assert Experiment.model_validate({**TINY, **auto}).arms["private"].defense.per_example_steps


def test_all_faults_of_an_experiment_are_told_at_once():
    faults = refused(
        NOISY,
        design={"name": "quarters", "num_models": 3},
        membership={"attacks": {"online": {"name": "lira"}}},
        report={"against": "beta"},
    )
    assert sorted(faults) == ["design.num_models", "membership.attacks.online", "report.against"]


def test_what_does_not_go_with_the_new_blocks_is_refused_at_its_place():
    assert list(refused(arms={"erm": {"defense": "erm", "checkpoint": "best"}})) == [
        "arms.erm.checkpoint"
    ]
    lira = {"name": "lira", "views": ["flip"]}
    assert (
        "unknown view 'flip'"
        in refused(membership={"attacks": {"x": lira}})["membership.attacks.x.views"]
    )
    mlp = {"name": "shadow_mlp", "views": ["identity"]}
    assert (
        "reads the logits"
        in refused(NOISY, membership={"attacks": {"x": mlp}})["membership.attacks.x.views"]
    )
    faults = refused(memorization={"arm": "nobody", "attack": "lira"})
    assert sorted(faults) == ["memorization.arm", "memorization.attack"]
    assert "give either `arm`" in next(iter(refused(memorization={}).values()))
    assert "use design.num_models >= 8" in refused(memorization={"arm": "erm"})["memorization.arm"]


def test_batchnorm_over_several_cpu_workers_is_refused_once_where_it_is_written():
    faults = refused(fleet={"workers_per_run": 2})
    assert list(faults) == ["model.norm"]
    assert "use `norm: group`" in faults["model.norm"]


JOINT = {"name": "lira", "variance": "per_example", "across_views": "joint"}


@pytest.mark.parametrize(("num_views", "enough"), [(1, 6), (2, 8), (4, 12)])
def test_pairs_that_leave_an_attack_too_few_others_of_each_kind_are_refused(num_views, enough):
    """Of M models a target and its partner are left out: M / 2 - 1 others hold an example."""
    keys: dict[str, Any] = {
        "answers": {"views": ["identity", "flip", "shift_up", "shift_down"][:num_views]},
        "membership": {"attacks": {"joint": JOINT}},
    }
    design = {"name": "pairs", "num_models": enough}
    assert Experiment.model_validate({**TINY, **keys, "design": design}).design.num_models == enough
    if enough > 6:
        why = refused(TINY, **keys, design={**design, "num_models": enough - 2})
        assert f"use design.num_models: {enough} or more" in why["membership.attacks.joint"]
        assert f"leave a target {enough // 2 - 2} of each" in why["membership.attacks.joint"]


@pytest.mark.parametrize(("of_each_kind", "enough"), [(1, 32), (2, 32), (3, 37), (30, 119)])
def test_coins_leave_enough_others_but_for_one_canary_in_67_million(of_each_kind: int, enough: int):
    assert _enough_coins(of_each_kind) == enough
    too_few = binom.cdf(of_each_kind - 1, enough - 1, 0.5)
    assert too_few <= 1 / 67e6
    assert enough == 32 or binom.cdf(of_each_kind - 1, enough - 2, 0.5) > 1 / 67e6
