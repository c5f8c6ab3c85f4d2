"""Whether counts of shadows give membership away."""

import numpy as np
import pytest

from runner.experiment.training import Design
from runner.plan.canaries import coins
from runner.plan.plan import member_matrix
from runner.results._design import count_aucs
from runner.results.checks import count_check, warnings_of


def halves(num_models: int, num_examples: int) -> np.ndarray:
    """Every example in exactly half of the models, and no complementary rows."""
    rng = np.random.default_rng(0)
    ranks = rng.random((num_models, num_examples)).argsort(0)
    return (ranks < num_models // 2).astype(np.int8)


def test_counts_give_membership_away_where_every_example_is_in_half_of_unpaired_models():
    member = halves(8, 400)
    assert count_aucs(member, np.arange(8)) == pytest.approx(np.ones(8))
    guard = count_check(member, np.arange(8))
    assert guard.verdict == "fail"
    assert warnings_of([guard])[0].startswith("failed check: the shadows' membership")


def test_counts_say_nothing_of_complementary_pairs_once_the_partner_is_left_out():
    member = member_matrix(Design(num_models=8), 400, 0)
    assert count_aucs(member, np.arange(8) ^ 1).tolist() == [0.5] * 8
    assert count_check(member, np.arange(8) ^ 1).verdict == "pass"


def test_a_partner_that_stays_among_the_shadows_gives_the_target_away():
    member = member_matrix(Design(num_models=8), 400, 0)
    assert count_aucs(member, np.arange(8)) == pytest.approx(np.ones(8))


def test_counts_of_independent_coins_are_chance():
    member = np.random.default_rng(1).integers(0, 2, (32, 3000)).astype(np.int8)
    assert abs(count_aucs(member, np.arange(32)) - 0.5).max() < 0.05
    assert count_check(member, np.arange(32)).verdict == "pass"


@pytest.mark.parametrize(("num_models", "num_canaries"), [(3, 400), (8, 40), (64, 100), (64, 400)])
def test_few_examples_with_coins_of_their_own_are_not_accused(num_models, num_canaries):
    """One target's AUC is far from 0.5 by chance, to either side: together they are not."""
    for seed in range(20):
        member = coins(num_models, num_canaries, np.arange(num_canaries), seed)
        assert count_check(member, np.arange(num_models)).verdict != "fail"


def test_targets_that_leak_one_way_and_targets_that_leak_the_other_do_not_cancel():
    first = np.random.default_rng(0).integers(0, 2, 400)
    member = np.stack([first, first, 1 - first, 1 - first, 1 - first, 1 - first]).astype(np.int8)
    member[::2] ^= np.random.default_rng(1).random((3, 400)) < 0.02
    aucs = count_aucs(member, np.arange(6))
    assert (aucs > 0.9).any()
    assert (aucs < 0.1).any()
    assert count_check(member, np.arange(6)).verdict == "fail"
