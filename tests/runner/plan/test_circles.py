"""Which models are each other's shadows, and what a target's shadow is to it."""

import numpy as np
import pytest

from runner.experiment.training import Design
from runner.plan.circles import circles_of, only_partners
from runner.plan.plan import member_matrix, others_of

M, N = 4, 43
PARTNER = np.arange(M) ^ 1
PARTNERS_ALONE = [PARTNER[[m]] for m in range(M)]
QUARTERS = member_matrix(Design(name="quarters", num_models=M), N, 0)
ANSWERS = np.random.default_rng(0).normal(size=(M, N, 2))


@pytest.mark.parametrize("partner", [PARTNER, np.arange(M), np.array([1, 0, 2, 3])])
def test_all_models_are_one_circle_where_a_partner_is_no_shadow(partner: np.ndarray):
    assert not only_partners(partner, others_of(partner))
    (circle,) = circles_of(partner, others_of(partner))
    answers, member, left_out = circle.given(ANSWERS, QUARTERS)
    assert answers is ANSWERS
    assert member is QUARTERS
    assert left_out is partner


def test_each_pair_is_a_circle_where_a_partner_is_the_only_shadow():
    circles = circles_of(PARTNER, PARTNERS_ALONE)
    assert [circle.models.tolist() for circle in circles] == [[0, 1], [2, 3]]
    for circle in circles:
        answers, _, left_out = circle.given(ANSWERS, QUARTERS)
        np.testing.assert_array_equal(answers, ANSWERS[circle.models])
        assert left_out.tolist() == [0, 1]  # nobody but the target


def test_a_shadow_is_one_without_each_example_of_its_target_whatever_the_targets_row_is():
    for circle in circles_of(PARTNER, PARTNERS_ALONE):
        _, seen, _ = circle.given(ANSWERS, QUARTERS)
        for place, m in enumerate(circle.models):
            judged, left_over = QUARTERS[m] >= 0, (QUARTERS[circle.models] < 0).all(axis=0)
            shadow, its = seen[1 - place], QUARTERS[PARTNER[m]]
            assert (shadow[judged] == 0).all()
            np.testing.assert_array_equal(shadow[~judged], its[~judged])
            assert (shadow[left_over] == -1).all()
            assert left_over.sum() == N % 4
            turned = QUARTERS.copy()
            turned[m] = np.where(judged, 1 - turned[m], -1)
            _, again, _ = circle.given(ANSWERS, turned)
            np.testing.assert_array_equal(again[1 - place], shadow)
