"""Where lanes can work, by what the nodes of a cluster have."""

from typing import Any

import pytest

from runner.cluster.sites import Site, refuse, sites
from runner.experiment.fleet import Fleet


def node(
    name: str,
    cpus: float = 0,
    gpus: float = 0,
    alive: bool = True,
    kind: str = "",
    labels: dict[str, str] | None = None,
) -> dict[str, Any]:
    """A node as ray.nodes() describes it: what it has none of is not in its resources."""
    has = {kind: amount for kind, amount in {"CPU": cpus, "GPU": gpus}.items() if amount}
    has |= {f"accelerator_type:{kind}": 1.0} if kind else {}
    has["memory"] = 1e9
    return {"NodeID": name, "Alive": alive, "Resources": has, "Labels": labels or {}}


def room(nodes: list[dict[str, Any]], fleet: Fleet, taken: tuple[str, ...] = ()) -> dict[str, int]:
    """The workers of each node's site."""
    found = sites(nodes, fleet, taken)
    assert all(len({*site.nodes}) == 1 for site in found)
    return {site.nodes[0]: site.workers for site in found}


def test_each_node_with_room_is_a_site_of_as_many_workers_as_fit():
    nodes = [node("big", 16), node("small", 3), node("none")]
    assert room(nodes, Fleet()) == {"big": 16, "small": 3}
    assert room(nodes, Fleet(num_cpus=4)) == {"big": 4}
    assert room(nodes, Fleet(max_workers=2)) == {"big": 2, "small": 2}


def test_a_dead_node_and_one_with_a_lane_are_no_sites():
    nodes = [node("dead", 16, alive=False), node("living", 2), node("at work", 2)]
    assert room(nodes, Fleet(), taken=("at work",)) == {"living": 2}


def test_with_gpus_the_scarcer_of_cpus_and_gpus_decides():
    nodes = [node("cpus", 64), node("gpus", 8, 4), node("starved", 1, 4)]
    assert room(nodes, Fleet(num_cpus=1, num_gpus=1)) == {"gpus": 4, "starved": 1}


def test_workers_that_make_no_whole_run_are_left_out():
    nodes = [node("seven", 7), node("three", 3), node("one", 1)]
    assert room(nodes, Fleet(workers_per_run=3)) == {"seven": 6, "three": 3}
    assert room(nodes, Fleet(workers_per_run=3, max_workers=5)) == {"seven": 3, "three": 3}


@pytest.mark.parametrize(
    ("num_gpus", "on_one", "on_five"),
    [(0.5, 2, 10), (0.25, 4, 20), (0.334, 2, 10), (1 / 3, 3, 15), (0.333, 3, 15), (1, 1, 5)],
)
def test_a_share_of_a_gpu_never_straddles_two(num_gpus: float, on_one: int, on_five: int):
    nodes = [node("one", 64, 1), node("five", 64, 5)]
    assert room(nodes, Fleet(num_gpus=num_gpus)) == {"one": on_one, "five": on_five}


def test_whole_gpus_are_handed_out_whole():
    nodes = [node("one", 64, 1), node("five", 64, 5)]
    assert room(nodes, Fleet(num_gpus=2)) == {"five": 2}


def test_only_nodes_with_the_accelerator_asked_for_are_sites():
    nodes = [node("new", 8, 2, kind="H100"), node("old", 8, 2, kind="T4"), node("none", 8)]
    assert room(nodes, Fleet(num_gpus=1, accelerator="H100")) == {"new": 2}
    assert room(nodes, Fleet(num_gpus=1)) == {"new": 2, "old": 2}


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("eu", ["a"]),
        ("!eu", ["b", "c", "bare"]),
        ("in(eu, us)", ["a", "b"]),
        ("!in(eu,us)", ["c", "bare"]),
    ],
)
def test_labels_are_selected_in_rays_words(wanted: str, found: list[str]):
    regions = {"a": "eu", "b": "us", "c": "asia"}
    nodes = [node(name, 1, labels={"region": region}) for name, region in regions.items()]
    fleet = Fleet(label_selector={"region": wanted})
    assert [*room([*nodes, node("bare", 1)], fleet)] == found


def test_a_run_that_fits_no_node_gets_the_fewest_nodes_that_hold_it_together():
    nodes = [node("two", 2), node("three", 3), node("also two", 2), node("one", 1)]
    fleet = Fleet(workers_per_run=4)
    assert sites(nodes, fleet) == [
        Site(("three", "three", "three", "two")),
    ]
    assert sites([*nodes, node("more", 2)], fleet)[1:] == [
        Site(("also two", "also two", "more", "more")),
    ]
    assert sites(nodes, fleet, taken={"three", "two"}) == []


def test_nodes_are_never_put_together_while_one_alone_can_hold_a_run():
    nodes = [node("four", 4), node("two", 2), node("also two", 2)]
    assert room(nodes, Fleet(workers_per_run=4)) == {"four": 4}
    assert sites(nodes, Fleet(workers_per_run=4), taken={"four"}) == []


def test_no_room_says_what_was_asked_what_the_nodes_have_and_what_to_change():
    nodes = [node("a", 2), node("b", 4, 1, kind="T4"), node("dead", 64, 8, alive=False)]
    fleet = Fleet(num_cpus=3, num_gpus=0.5, workers_per_run=2)
    message = str(refuse(nodes, fleet))
    assert "needs 2 workers, 3 CPUs and 0.5 GPUs each, and no node has that" in message
    assert "(nodes: 2 CPUs and 0 GPUs, 4 CPUs and 1 GPUs (T4))" in message
    assert "change fleet.num_cpus, fleet.num_gpus or fleet.workers_per_run" in message
    picky = Fleet(num_gpus=1, accelerator="H100", label_selector={"region": "eu"})
    assert "accelerator H100, label region: eu, and no node" in str(refuse(nodes, picky))
    assert "fleet.accelerator or fleet.label_selector" in str(refuse(nodes, picky))
    assert "none is alive" in str(refuse([node("dead", 1, alive=False)], Fleet()))
