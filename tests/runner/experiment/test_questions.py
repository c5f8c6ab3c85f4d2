"""What models are asked, settled by whether they are randomized."""

from typing import Any

import pytest

from attacks.evasion.pgd import PGD
from runner.experiment.experiment import Experiment
from runner.experiment.questions import Answers, Robustness
from tests.conftest import NOISY, TINY
from tests.made.experiments import refused


def test_a_model_that_is_not_randomized_is_asked_once_whatever_draws_says():
    ids = {Answers(draws=draws).settled(randomized=False).id() for draws in (1, 3, 10)}
    assert ids == {Answers(draws=1).id()}
    assert len({Answers(draws=draws).settled(randomized=True).id() for draws in (1, 3, 10)}) == 3


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


def test_a_costly_attack_is_asked_of_the_first_models_and_images_alone():
    auto = {"name": "autoattack", "eps": "8/255"}
    beside = {"robustness": {**TINY["robustness"], "sanity": {"attacks": {"auto": auto}}}}
    asked = Experiment.model_validate({**TINY, **beside}).questions("erm")
    few, many = asked.attacks_of(1), asked.attacks_of(2)
    assert few.keys() - many.keys() == {*asked.robustness.sanity_attacks, "auto"}
    assert few["auto"].num_examples == few["sanity_square"].num_examples == 60
    unasked = Experiment.model_validate(TINY).questions("erm")
    assert all(asked.robustness_id(name) == unasked.robustness_id(name) for name in many)


@pytest.mark.parametrize(
    ("robustness", "why"),
    [
        ({"sanity": {"attacks": {"pgd2": {"name": "fgsm"}}}}, "an attack on all models has this"),
        ({"sanity": {"attacks": {"sanity_x": {"name": "fgsm"}}}}, "names on sanity_ are taken"),
        ({"attacks": {"sanity_x": {"name": "fgsm"}}}, "names on sanity_ are taken"),
        ({"sanity": {"num_models": 0, "attacks": {"a": {"name": "fgsm"}}}}, "there is no model"),
        ({"attacks": {}, "sanity": {"attacks": {"a": {"name": "fgsm"}}}}, "there is no pgd among"),
    ],
)
def test_attacks_beside_the_sanity_checks_have_free_names_and_a_pgd(
    robustness: dict[str, Any], why: str
):
    assert why in refused(robustness={**TINY["robustness"], **robustness})["robustness"]


def test_views_are_known_and_asked_once():
    assert "did you mean 'flip'" in refused(answers={"views": ["flipp"]})["answers.views"]
    assert "twice" in refused(answers={"views": ["flip", "flip"]})["answers.views"]
