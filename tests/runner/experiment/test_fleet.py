"""Shares of a GPU and lanes that no Run could start in."""

import pytest

from tests.made.experiments import refused


@pytest.mark.parametrize("num_gpus", [0.3, 1.5])
def test_odd_shares_of_a_gpu_are_refused(num_gpus: float):
    assert "GPU" in refused(fleet={"num_gpus": num_gpus})["fleet.num_gpus"]


def test_a_lane_with_fewer_workers_than_a_run_needs_is_refused():
    fleet = {"workers_per_run": 4, "max_workers": 2}
    assert "no Run could start" in refused(fleet=fleet)["fleet"]
