import pytest

from attacks import sanity
from attacks.evasion.pgd import PGD
from attacks.evasion.square import Square

PGD20 = PGD(eps=0.1, step_size=0.025, num_steps=20)


def test_the_attacks_of_sanity_are_the_first_one_varied_in_radius_and_steps():
    radii = sanity.of_each_eps(PGD20)
    assert [a.eps for a in radii] == pytest.approx([0.05, 0.1, 0.2, 0.4, 1.0])
    assert PGD20 in radii
    assert [a.step_size / a.eps for a in radii] == pytest.approx([0.25] * 5)
    steps = sanity.of_each_num_steps(PGD20)
    assert [a.num_steps for a in steps] == [1, 5, 20, 100]
    assert {a.eps for a in steps} == {0.1}
    named = sanity.sanity_attacks(PGD20)
    assert len(set(named.values())) == len(named) == 5 + 4 + 1 - 1  # the attack itself is in both
    assert named["sanity_eps_0.1"] == PGD20
    assert named["sanity_square"] == Square(eps=0.1, num_queries=500)


def test_two_radii_that_are_one_to_six_digits_are_both_attacked():
    named = sanity.sanity_attacks(PGD20.model_copy(update={"eps": 0.49999999}))
    large, largest = named["sanity_eps_1"], named["sanity_eps_1.0"]
    assert isinstance(large, PGD)
    assert isinstance(largest, PGD)
    assert (large.eps, largest.eps) == (0.99999998, 1.0)


@pytest.mark.parametrize("num_steps", [1, 2, 10])
def test_at_eps_1_the_steps_reach_every_image_however_short_they_were(num_steps: int):
    *_, largest = sanity.of_each_eps(PGD(eps=0.1, step_size=0.01, num_steps=num_steps))
    assert largest.eps == 1
    assert largest.step_size * num_steps >= 1
    assert largest.step_size <= 1
