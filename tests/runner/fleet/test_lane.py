"""Whom a lane blames when its workers die."""

import pytest

pytest.importorskip("ray", reason="machines that only train have no Ray")

from runner.fleet._lane import culprits


def test_the_leader_of_the_run_whose_worker_died_is_blamed():
    assert culprits([2], workers=4, workers_per_run=1) == [2]
    assert culprits([3], workers=4, workers_per_run=2) == [2]
    assert culprits([2, 3, 0], workers=8, workers_per_run=2) == [0, 2]
    assert culprits([0], workers=1, workers_per_run=1) == [0]


def test_nobody_is_blamed_when_all_workers_of_a_lane_die_at_once():
    assert culprits([0, 1, 2, 3], workers=4, workers_per_run=1) == []
