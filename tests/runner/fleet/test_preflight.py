"""What is looked at before anything starts, by what the nodes say."""

import io
import os
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from rich.console import Console

from runner.experiment.fleet import Fleet
from runner.fleet._gpu_memory import Memory
from runner.plan.work import Work
from runner.storage.store import Store
from tests.made.clusters import RAY, own_ports, started

if TYPE_CHECKING:
    from tests.made.nodes import Nodes

ray = pytest.importorskip("ray", reason="machines that only train have no Ray")

from runner.code.record import digest_of_ours  # noqa: E402
from runner.fleet.preflight import (  # noqa: E402
    NotReady,
    Seen,
    _look,
    _storage,
    _versions,
    _wait_for_nodes,
    memory_fits,
    preflight,
)

GB = 10**9


def seen(host: str = "a", **changes: object) -> Seen:
    """A node that sees everything as it should be."""
    usual = Seen(host, "", 50 * GB, dict.fromkeys(NAMES, "1"), "c0de")
    return usual._replace(**changes)  # pyright: ignore[reportArgumentType]


NAMES = ("Python", "torch", "torchvision", "opacus", "numpy", "pyarrow")


def test_a_node_that_does_not_see_the_storage_is_named_with_a_way_out(tmp_path: Path):
    nodes = [seen(), seen("b", marker="No such file or directory")]
    (check,) = _storage(nodes, Store(tmp_path), GB)
    assert not check.passed
    assert "b: No such file or directory" in check.text
    assert "--storage" in check.text


def test_the_disk_must_hold_what_the_plan_writes(tmp_path: Path):
    nodes = [seen(), seen("b", free=3 * GB)]
    passed = [check.passed for check in _storage(nodes, Store(tmp_path), 2.9 * GB)]
    assert passed == [True, True]
    *_, full = _storage(nodes, Store(tmp_path), 3.1 * GB)
    assert not full.passed
    assert "3.10 GB to write, 3.00 GB free" in full.text


def test_storage_without_a_size_is_not_asked_for_room(tmp_path: Path):
    assert [c.passed for c in _storage([seen(free=None)], Store(tmp_path), 1e18)] == [True]


@pytest.mark.parametrize(("wait_s", "asked"), [(300.0, 3), (0.0, 1)])
def test_a_cluster_whose_nodes_are_still_to_join_is_waited_for(
    wait_s: float, asked: int, monkeypatch: pytest.MonkeyPatch
):
    head = {"Alive": True, "Resources": {"memory": 1e9}}
    gone, joined = ({"Alive": alive, "Resources": {"CPU": 2.0}} for alive in (False, True))
    states = [[head], [head, gone], [head, joined], []]
    told = io.StringIO()
    monkeypatch.setattr(ray, "nodes", lambda: states.pop(0))
    monkeypatch.setattr("runner.fleet.preflight.POLL_S", 0.0)
    _wait_for_nodes(Fleet(wait_for_nodes_s=wait_s), Console(file=told, width=200))
    assert len(states) == 4 - asked
    assert told.getvalue().count("waits up to 5 min 0 s for one that joins") == (wait_s > 0)


def test_nodes_that_differ_in_a_version_or_in_our_code_are_told_apart():
    other = {**seen().versions, "torch": "2"}
    check = _versions([seen(), seen("b", versions=other), seen("c", code="other")])
    assert not check.passed
    assert "torch 1 on a, c; 2 on b" in check.text
    assert "our own code is not the same" in check.text
    assert _versions([seen(), seen("b")]).passed


def test_a_node_says_what_it_reads_and_leaves_its_own_mark(tmp_path: Path):
    (tmp_path / "driver").write_text("token")
    found = _look(tmp_path, "token", "node-1")
    assert not found.marker
    assert (tmp_path / "node-1").read_text() == "token"
    assert found.versions["torch"] == torch.__version__.split("+")[0]
    assert found.code == digest_of_ours()
    assert _look(tmp_path, "another", "node-2").marker == "another file lies there"
    assert "No such file" in _look(tmp_path / "not here", "token", "node-3").marker


def test_auto_packs_by_the_largest_run_and_a_share_that_is_too_small_is_refused(work: Work):
    runs = [runs[0] for runs in work.plan.arms.values()]
    found = [Memory(2 * GB, 16 * GB), Memory(4 * GB, 16 * GB)]
    check, settled = memory_fits(runs, found, Fleet(num_gpus="auto"))
    assert check.passed
    assert settled.num_gpus == pytest.approx(1 / 3)
    assert "pgd_at takes 4.00 of 16.00 GB, so 3 fit" in check.text
    assert memory_fits(runs, found, Fleet(num_gpus=0.5))[0].passed
    check, _ = memory_fits(runs, found, Fleet(num_gpus=0.25))
    assert not check.passed
    assert "4 are asked for; raise fleet.num_gpus" in check.text
    check, _ = memory_fits(runs, [Memory(15 * GB, 16 * GB)] * 2, Fleet(num_gpus="auto"))
    assert not check.passed


@pytest.fixture
def two_nodes(nodes: "Nodes") -> str:
    """The address of a head without CPUs and two nodes with two each."""
    nodes.want(2, 2)
    assert nodes.address
    return nodes.address


@pytest.mark.ray("nodes")
@pytest.mark.slow
@pytest.mark.campaign
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.usefixtures("two_nodes")
def test_every_node_of_a_cluster_is_asked_and_nothing_is_left_behind(work: Work):
    checks, settled = preflight(work, GB)
    told = "\n".join(map(str, checks))
    assert all(check.passed for check in checks), told
    assert "room: 4 workers of 1 CPUs and 0 GPUs on 2 nodes" in told
    assert f"storage {work.store.root}: seen and written by 2 nodes" in told
    assert f"torch {torch.__version__.split('+')[0]}" in told
    assert settled == Fleet()
    assert not [*(work.store.root / "preflight").rglob("*driver*")]
    with pytest.raises(NotReady, match=r"FAIL  disk: .* GB to write"):
        preflight(work, 1e18)


@pytest.mark.ray("nodes")
@pytest.mark.slow
@pytest.mark.campaign
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_node_where_another_disk_has_the_storages_name_is_found_out(two_nodes: str, work: Work):
    join = [*RAY, "start", "--block", f"--address={two_nodes}", "--num-cpus=1", *own_ports()]
    elsewhere = ["unshare", "--mount", "bash", "-c", 'mount -t tmpfs tmpfs "$0" && "$@"']
    if subprocess.run([*elsewhere, str(work.store.root), "true"], capture_output=True).returncode:
        pytest.skip("mounting where no other process sees it needs root")
    with started([*elsewhere, str(work.store.root), *join], dict(os.environ)):
        end = time.monotonic() + 60
        while len([node for node in ray.nodes() if node["Alive"]]) < 4:
            assert time.monotonic() < end
            time.sleep(0.2)
        why = r"FAIL  storage .*: not the same folder on every node.*No such file.*--storage"
        with pytest.raises(NotReady, match=why):
            preflight(work, GB)
    assert not [*(work.store.root / "preflight").rglob("*driver*")]
