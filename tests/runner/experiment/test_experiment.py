from typing import Any

import pytest
from pydantic import ValidationError

from attacks.evasion.pgd import PGD
from defenses import Defense
from defenses.demem import DeMem
from defenses.erm import ERM
from defenses.residual_perturbation import ResidualPerturbation
from defenses.trades import TRADES
from runner.experiment.experiment import Experiment
from runner.experiment.fields import dials
from runner.experiment.questions import Answers, Robustness
from runner.experiment.training import Schedule
from runner.models.mlp import Mlp
from runner.models.small_cnn import SmallCnn
from tests.conftest import NOISY, TINY


def refused(base: dict[str, Any] = TINY, **changes: Any) -> dict[str, str]:
    """The reasons, by dotted path."""
    with pytest.raises(ValidationError) as caught:
        Experiment.model_validate({**base, **changes})
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


@pytest.mark.parametrize("own", [{}, {"model": "mlp"}, {"model": {"hidden": [8]}}])
def test_a_model_is_also_named_by_its_name_alone(own: dict[str, Any]):
    arms = {"a": {"defense": "erm", **own}}
    experiment = Experiment.model_validate({**TINY, "model": "mlp", "arms": arms})
    wanted = own["model"] if isinstance(own.get("model"), dict) else {}
    assert experiment.model == Mlp()
    assert experiment.arms["a"].model == Mlp(**wanted)


def test_an_experiment_survives_its_own_dump(tiny: Experiment):
    assert Experiment.model_validate(tiny.model_dump()) == tiny
    assert Experiment.model_validate(tiny.model_dump(mode="json")) == tiny


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


def test_an_attack_that_compares_models_with_and_without_an_example_is_refused_over_quarters():
    attacks = {"own": {"name": "shadow_mlp"}, "online": {"name": "lira"}}
    faults = refused(NOISY, membership={"attacks": attacks})
    assert list(faults) == ["membership.attacks.online"]
    why = faults["membership.attacks.online"]
    assert "lira" in why
    assert "gives a target one shadow model" in why
    assert "use `pairs` for it, or an attack like shadow_mlp" in why


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


def test_a_defense_that_cannot_be_built_into_its_arms_network_is_refused_where_it_is_written():
    faults = refused(NOISY, model={"name": "small_cnn", "width": 4})
    assert list(faults) == ["arms.noisy.defense"]
    assert "residual blocks" in faults["arms.noisy.defense"]
    assert "choose another model or defense" in faults["arms.noisy.defense"]


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


def test_a_model_that_is_not_randomized_is_asked_once_whatever_draws_says():
    ids = {Answers(draws=draws).settled(randomized=False).id for draws in (1, 3, 10)}
    assert ids == {Answers(draws=1).id}
    assert len({Answers(draws=draws).settled(randomized=True).id for draws in (1, 3, 10)}) == 3


def test_an_attack_averages_over_draws_only_where_there_are_any():
    robustness = Robustness(attacks={"eot": PGD(draws=8), "once": PGD()})
    calm, noisy = robustness.settled(randomized=False), robustness.settled(randomized=True)
    assert calm.attacks["eot"] == calm.attacks["once"]
    assert noisy.attacks == robustness.attacks
    once = robustness.attacks["once"]
    assert calm.id(calm.attacks["eot"], None, 1) == robustness.id(once, None, 1)
    attacks = noisy.attacks.values()
    assert len({noisy.id(a, n, d) for a in attacks for n in (None, 5) for d in (1, 2)}) == 8


def test_questions_are_settled_by_the_defense():
    experiment = Experiment.model_validate(NOISY)
    draws = {name: experiment.questions(name).answers.draws for name in experiment.arms}
    assert draws == {"erm": 1, "noisy": 3}
    still = {"defense": {"name": "residual_perturbation", "gamma": 0}}
    calm = Experiment.model_validate({**NOISY, "arms": {**NOISY["arms"], "still": still}})
    assert calm.questions("still").answers.draws == 1


def test_questions_of_the_best_checkpoint_have_folders_of_their_own():
    arms = {name: {"defense": "erm", "checkpoint": name} for name in ("last", "best")}
    changed = {"arms": arms, "selection": {"num_examples": 20}}
    experiment = Experiment.model_validate({**TINY, **changed})
    last, best = (experiment.questions(name) for name in ("last", "best"))
    assert best.answers_id == f"{last.answers_id}-best"
    for attack in (None, "pgd2"):
        assert best.robustness_id(attack) == f"{last.robustness_id(attack)}-best"


def test_the_first_models_alone_are_attacked_for_sanity():
    experiment = Experiment.model_validate(TINY)
    asked = experiment.questions("erm")
    few, many = asked.attacks_of(1), asked.attacks_of(2)
    assert list(many) == [None, "pgd2"]
    assert set(few) == {*many, *experiment.robustness.sanity_attacks}
    assert len(few) > len(many) + 3
    assert {few[name].num_examples for name in few.keys() - many.keys()} == {60}
    off = {"robustness": {**TINY["robustness"], "sanity": {"num_models": 0}}}
    calm = Experiment.model_validate({**TINY, **off}).questions("erm")
    assert calm.attacks_of(0) == many


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
