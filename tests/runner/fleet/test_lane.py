"""Whom a lane blames when its workers die."""

import pytest

pytest.importorskip("ray", reason="machines that only train have no Ray")

from runner.cluster import known_ray
from runner.experiment.fleet import Fleet
from runner.fleet._lane import culprits, kind_of


def test_the_leader_of_the_run_whose_worker_died_is_blamed():
    assert culprits([2], workers=4, workers_per_run=1) == [2]
    assert culprits([3], workers=4, workers_per_run=2) == [2]
    assert culprits([2, 3, 0], workers=8, workers_per_run=2) == [0, 2]
    assert culprits([0], workers=1, workers_per_run=1) == [0]


def test_nobody_is_blamed_when_all_workers_of_a_lane_die_at_once():
    assert culprits([0, 1, 2, 3], workers=4, workers_per_run=1) == []


def test_a_ray_whose_inside_is_not_known_has_lanes_of_its_own_trainer(
    monkeypatch: pytest.MonkeyPatch,
):
    trainer, talk = kind_of(Fleet())
    assert [trainer.__name__, type(talk).__name__] == ["LaneTrainer", "LaneTorch"]
    monkeypatch.setattr(known_ray, "KNOWN", "2.59.")
    trainer, talk = kind_of(Fleet(workers_per_run=2))
    assert [trainer.__name__, type(talk).__name__] == ["TorchTrainer", "TorchConfig"]
    assert talk.backend == "gloo"
