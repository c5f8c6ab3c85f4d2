"""Where lanes can work: which nodes have room for a Run's workers, and for how many."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from runner.experiment.fleet import Fleet
from runner.faults import UserFault


class NoRoom(UserFault):
    """No node can hold what one Run asks for."""


class Site(NamedTuple):
    """The place of one lane: a node, or several for a Run that fits no single one."""

    nodes: tuple[str, ...]  # the node id of every worker, those of one node beside each other
    address: str = ""  # of the first node, for people

    @property
    def workers(self) -> int:
        return len(self.nodes)


def sites(
    nodes: Sequence[Mapping[str, Any]], fleet: Fleet, taken: Collection[str] = ()
) -> list[Site]:
    """Return a site for every node that can hold a Run's workers, in the order of the nodes.

    Where none can and several together can, one Run's workers make a site over as few nodes as
    hold them.

    Args:
        nodes: as `ray.nodes()` tells of them; dead ones are passed over.
        taken: node ids on which a lane works already.
    """
    room = {n["NodeID"]: _workers(n["Resources"], fleet) for n in nodes if _suits(n, fleet)}
    free = {node: num for node, num in room.items() if node not in taken}
    size = fleet.workers_per_run
    if max(room.values(), default=0) < size:
        found = _together(free, size)
    else:
        found = [(node,) * (num - num % size) for node, num in free.items() if num >= size]
    addresses = {n["NodeID"]: n.get("NodeManagerAddress", "") for n in nodes}
    return [Site(of_workers, addresses[of_workers[0]]) for of_workers in found]


def refuse(nodes: Sequence[Mapping[str, Any]], fleet: Fleet) -> NoRoom:
    """Return the error that says what one Run asks for and what the nodes have."""
    alive = [n for n in nodes if n["Alive"]]
    sizes = ", ".join(_size(n) for n in alive) or "none is alive"
    wanted = [f"{fleet.num_cpus} CPUs and {fleet.gpus:g} GPUs each"]
    keys = ["fleet.num_cpus", "fleet.num_gpus", "fleet.workers_per_run"]
    if fleet.accelerator:
        wanted.append(f"accelerator {fleet.accelerator}")
        keys.append("fleet.accelerator")
    for name, value in fleet.label_selector.items():
        wanted.append(f"label {name}: {value}")
    if fleet.label_selector:
        keys.append("fleet.label_selector")
    return NoRoom(
        f"a Run needs {fleet.workers_per_run} workers, {', '.join(wanted)}, and no node has that, "
        f"nor several together (nodes: {sizes}); change {', '.join(keys[:-1])} or {keys[-1]}"
    )


def _suits(node: Mapping[str, Any], fleet: Fleet) -> bool:
    """Whether a node lives, has the accelerator asked for, and the labels."""
    labels = node.get("Labels", {})
    return (
        node["Alive"]
        and (not fleet.accelerator or f"accelerator_type:{fleet.accelerator}" in node["Resources"])
        and all(_matches(labels.get(name), value) for name, value in fleet.label_selector.items())
    )


def _matches(label: str | None, wanted: str) -> bool:
    """Ray's own words for labels: value, !value, in(a,b), !in(a,b)."""
    negated, wanted = wanted.startswith("!"), wanted.removeprefix("!")
    listed = wanted.startswith("in(") and wanted.endswith(")")
    values = [v.strip() for v in wanted[3:-1].split(",")] if listed else [wanted]
    return (label in values) != negated


def _workers(has: Mapping[str, float], fleet: Fleet) -> int:
    """How many workers a node holds."""
    workers = int(has.get("CPU", 0) / fleet.num_cpus)
    if fleet.gpus:
        workers = min(workers, _shares(has.get("GPU", 0), fleet.gpus))
    return min(workers, fleet.max_workers or workers)


def _shares(gpus: float, num_gpus: float) -> int:
    """How many workers the GPUs hold; a share never straddles two GPUs."""
    # Rounded down with a grain of tolerance: 0.333 makes three, but 0.334 only two.
    return int(gpus) * int(1 / num_gpus + 1e-3) if num_gpus < 1 else int(gpus / num_gpus)


def _together(room: Mapping[str, int], size: int) -> list[tuple[str, ...]]:
    """The nodes of one Run's workers, over several nodes, the largest first."""
    found: list[tuple[str, ...]] = []
    chosen: tuple[str, ...] = ()
    for node, num in sorted(room.items(), key=lambda item: -item[1]):
        chosen += (node,) * min(num, size - len(chosen))
        if len(chosen) == size:
            found.append(chosen)
            chosen = ()
    return found


def _size(node: Mapping[str, Any]) -> str:
    has = node["Resources"]
    kinds = [key.removeprefix("accelerator_type:") for key in has if "accelerator_type:" in key]
    gpus = f"{has.get('GPU', 0):g} GPUs{f' ({kinds[0]})' if kinds else ''}"
    return f"{has.get('CPU', 0):g} CPUs and {gpus}"
