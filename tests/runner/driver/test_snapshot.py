"""The time that is left, as the part that is done foretells it."""

import pytest

from runner.driver.snapshot import Claim, remaining_s
from tests.made.snapshots import state


def test_the_rest_is_expected_to_go_as_the_part_that_is_done():
    assert remaining_s(state()) == pytest.approx(30 * 2.5 / 1.5)
    assert remaining_s(state(done=0, working={}, waiting=4)) == 0


def test_a_longer_run_counts_for_more():
    longer = {"l/0": Claim("erm-m001", "epoch 1/2", 0.5, ticket=1, cost=10.0)}
    mixed = state(working=longer)._replace(cost=20.0, cost_ended=1.0)
    assert remaining_s(mixed) == pytest.approx(30 * (20 - 6) / 6)


def test_a_run_that_failed_twice_counts_as_two_tasks():
    gone = state(done=1, failed={"x": "why"}, working={}, waiting=1)  # 4 in all
    assert gone.ended == 3
    assert remaining_s(gone) == pytest.approx(10)
