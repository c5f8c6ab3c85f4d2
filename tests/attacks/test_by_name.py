from typing import Annotated

import pytest
from pydantic import ValidationError

from attacks.by_name import ByName, Keys, find
from attacks.evasion import EvasionAttack
from attacks.evasion.pgd import PGD
from defenses import Defense
from runner.models import Model
from runner.models.resnet import ResNet


class Holder(Keys):
    attack: Annotated[EvasionAttack, ByName("attacks.evasion")]


def test_a_name_finds_the_class_of_the_file_of_that_name():
    assert find("attacks.evasion", "pgd", EvasionAttack) is PGD


def test_digits_at_the_end_of_a_name_choose_a_size_inside_one_file():
    assert find("runner.models", "resnet18", Model) is ResNet


def test_an_unknown_name_is_answered_with_the_nearest_and_all_legal_ones():
    with pytest.raises(ValueError, match=r"unknown defense 'trade'; did you mean 'trades'\?.*erm"):
        find("defenses", "trade", Defense)


def test_a_size_that_the_file_does_not_have_is_unknown():
    with pytest.raises(ValueError, match="unknown model 'resnet34'"):
        find("runner.models", "resnet34", Model)


def test_a_module_that_is_not_a_defense_cannot_be_named():
    with pytest.raises(ValueError, match="unknown defense"):
        find("defenses", "os.path", Defense)


def test_a_field_reads_a_mapping_a_bare_name_or_an_object():
    as_mapping = Holder.model_validate({"attack": {"name": "pgd", "eps": 0.5}})
    assert as_mapping.attack == PGD(eps=0.5)
    assert Holder.model_validate({"attack": "pgd"}).attack == PGD()
    assert Holder(attack=PGD(eps=0.1)).attack == PGD(eps=0.1)


def test_faults_inside_a_named_part_keep_their_path():
    with pytest.raises(ValidationError) as caught:
        Holder.model_validate({"attack": {"name": "pgd", "eps": -1, "step": 2}})
    faults = {error["loc"]: error["msg"] for error in caught.value.errors()}
    assert set(faults) == {("attack", "eps"), ("attack", "step")}
    assert "did you mean 'step_size'?" in faults["attack", "step"]


def test_a_radius_may_be_written_as_a_fraction():
    assert PGD.model_validate({"eps": "8/255"}).eps == 8 / 255


@pytest.mark.parametrize("bad", ["8/0", "a/b", 1.5, float("nan")])
def test_a_radius_that_is_no_number_in_0_1_is_refused(bad: object):
    with pytest.raises(ValidationError):
        PGD.model_validate({"eps": bad})
