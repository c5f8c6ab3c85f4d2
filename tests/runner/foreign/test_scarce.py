"""Examples that too few other models know are left out where they are a handful."""

import numpy as np

from attacks.membership.lira import Lira
from attacks.membership.threshold import Threshold
from runner.foreign.members import partners
from runner.foreign.scarce import told_scarce, without_scarce
from tests.made.given import member_of

LIRA, OFFLINE = Lira().needs(), Lira(mode="offline").needs()


def halves(*rare: int) -> np.ndarray:
    """Pairs of halves of 100 examples, but that some examples are in so few of the 8 models."""
    member = member_of(num_examples=100)
    for place, count in enumerate(rare):
        member[:, place] = np.arange(8) < count
    return member


def test_a_handful_of_examples_is_left_out_for_all_and_their_number_said():
    member = halves(0, 1, 2)
    kept, (said,) = without_scarce(member, [LIRA, OFFLINE, Threshold().needs()])
    assert (kept[:, :3] == -1).all()
    np.testing.assert_array_equal(kept[:, 3:], member[:, 3:])
    assert said.startswith("3 of 100 examples have fewer than 2 other models that were trained")


def test_an_example_that_one_target_alone_lacks_shadows_for_is_left_out_for_all():
    kept, _ = without_scarce(halves(2), [LIRA])  # the two that hold it leave one or none
    assert (kept[:, 0] == -1).all()


def test_where_they_are_many_or_no_attack_needs_them_nothing_is_left_out():
    many = halves(*[1] * 6)
    for member, needs in ((many, [LIRA]), (halves(1), [Threshold().needs()]), (halves(), [LIRA])):
        kept, said = without_scarce(member, needs)
        assert kept is member
        assert not said


def test_of_two_needs_the_one_that_keeps_all_but_a_handful_is_met():
    member = halves(*[1] * 6, 7)
    kept, (said,) = without_scarce(member, [LIRA, OFFLINE])
    assert (kept[:, :6] >= 0).all()
    assert (kept[:, 6] == -1).all()
    assert "than 2 that were not" in said


def test_how_many_examples_of_which_target_lack_shadows_is_told():
    member = halves(2, 2, 6)
    told = told_scarce(member, partners(member), LIRA)
    assert told == "target 0: 2 examples lack shadows"
    assert told_scarce(member, partners(member), OFFLINE) == "target 6: 1 examples lack shadows"
    assert told_scarce(halves(), partners(halves()), LIRA) == ""
