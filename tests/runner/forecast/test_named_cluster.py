"""Clusters by name: how many Runs they hold, and faults of their files."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from runner.experiment.config import ConfigError
from runner.experiment.fleet import Fleet
from runner.forecast.named_cluster import read_cluster
from tests.conftest import TINY
from tests.made.commands import invoke
from tests.made.timings import cluster

HOUSE = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("keys", "fleet", "at_once"),
    [
        ({"nodes": 2, "cpus": 8}, {}, 16),
        ({"nodes": 8, "cpus": 128, "gpus": 8}, {"num_gpus": 1}, 64),
        ({"nodes": 8, "cpus": 128, "gpus": 8}, {"num_gpus": 0.5, "workers_per_run": 4}, 32),
        ({"nodes": 8, "cpus": 128, "gpus": 8, "packing": 3}, {"num_gpus": 1}, 192),
        ({"nodes": 8, "cpus": 4, "gpus": 8, "packing": 3}, {"num_gpus": 1}, 32),
        ({"nodes": 3, "cpus": 8}, {"max_workers": 2}, 6),
    ],
)
def test_runs_at_once_follow_from_the_nodes_and_the_fleet(
    keys: dict[str, Any], fleet: dict[str, Any], at_once: int
):
    assert cluster(**keys).runs_at_once(Fleet.model_validate(fleet)) == at_once


def test_a_cluster_without_room_is_a_fault_of_its_file(tmp_path: Path):
    (tmp_path / "x.yaml").write_text(yaml.safe_dump({**TINY, "fleet": {"num_gpus": 1}}))
    at = ["--storage", str(tmp_path / "s"), "--cluster", "two_cores"]
    code, out = invoke("plan", str(tmp_path / "x.yaml"), *at)
    assert code == 2
    assert "1 CPUs and 1 GPUs each, and no node has that" in out
    assert "(nodes: 2 CPUs and 0 GPUs)" in out


def test_faults_of_a_cluster_file_are_told_at_once(tmp_path: Path):
    (tmp_path / "bad.yaml").write_text("nodes: 0\ncpu: 2\ncpus: 2\nspeed: 1\n")
    with pytest.raises(ConfigError) as raised:
        read_cluster(str(tmp_path / "bad.yaml"))
    assert "line 2: cpu: unknown key 'cpu'; did you mean 'cpus'?" in str(raised.value)
    assert "line 1: nodes: expected a whole number above 0, got 0" in str(raised.value)
    with pytest.raises(ConfigError, match="did you mean 'two_cores'"):
        read_cluster("two_core")


@pytest.mark.parametrize("path", sorted((HOUSE / "configs/cluster/clusters").glob("*.yaml")))
def test_shipped_clusters_are_found_by_name_and_hold_a_run(path: Path):
    found = read_cluster(path.stem)
    assert found.runs_at_once(Fleet()) >= 2
    assert f"--cluster {path.stem}" in path.read_text()


def test_experiments_are_not_looked_for_among_clusters():
    code, out = invoke("check", "no_such_thing")
    assert code == 2
    assert "two_cores" not in out
