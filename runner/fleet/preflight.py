"""What must hold before anything is trained, on every node, as one list."""

import importlib.metadata
import platform
import shutil
import socket
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import ray
import ray.exceptions
import torch
from rich.console import Console

from runner.cluster import connect
from runner.cluster.connect import on_node
from runner.cluster.sites import Site, refuse, sites
from runner.code.record import digest_of_ours
from runner.data import Dataset
from runner.driver.progress import duration, say
from runner.experiment.fleet import Fleet
from runner.faults import UserFault
from runner.fleet._gpu_memory import Memory, measure, packing
from runner.models import image_shape
from runner.plan.plan import Run
from runner.plan.work import Work
from runner.storage import store
from runner.storage.cloud import Folder
from runner.storage.store import Store

ANSWER_S = 120.0  # for a node to say what it sees; a worker process may have to start first
POLL_S = 1.0
VERSIONS = ("torch", "torchvision", "opacus", "numpy", "pyarrow")


class NotReady(UserFault):
    """Something does not hold; the message is the whole list."""


class Requirement(NamedTuple):
    """One line of the list."""

    passed: bool
    text: str

    def __str__(self) -> str:
        return f"  {'ok  ' if self.passed else 'FAIL'}  {self.text}"


class Seen(NamedTuple):
    """What one node says of itself."""

    host: str
    marker: str  # what it read in the storage, or why it could not
    free: int | None  # bytes of the storage, where a file system tells
    versions: Mapping[str, str]
    code: str  # a digest of our own source


def ready(work: Work, disk_bytes: float, checkpoint_bytes: float, console: Console) -> Fleet:
    """Connect to the cluster, print what was looked at, and return the fleet as it is to be used.

    A cluster that is still starting is waited for, `fleet.wait_for_nodes_s` at most.

    Args:
        disk_bytes: by all Runs that are to do.
        checkpoint_bytes: by each besides while it is in work.

    Raises:
        NoCluster: there is none at the address that is set.
        NoRoom, NotReady: as `preflight` has them.
    """
    connect.connect()
    _wait_for_nodes(work.experiment.fleet, console)
    checks, settled = preflight(work, disk_bytes, checkpoint_bytes)
    for check in checks:
        say(console, str(check))
    return settled


def _wait_for_nodes(fleet: Fleet, console: Console) -> None:
    """Wait while no node has CPUs or GPUs: others are still to join a head that trains nothing."""
    until, waits = time.monotonic() + fleet.wait_for_nodes_s, False
    while not any(node["Alive"] and {"CPU", "GPU"} & {*node["Resources"]} for node in ray.nodes()):
        if time.monotonic() >= until:
            return
        if not waits:
            said = f"no node has CPUs or GPUs; waits up to {duration(fleet.wait_for_nodes_s)}"
            say(console, f"{said} for one that joins")
        waits = True
        time.sleep(POLL_S)


def preflight(
    work: Work, disk_bytes: float, checkpoint_bytes: float = 0.0
) -> tuple[list[Requirement], Fleet]:
    """Return what was looked at, and the fleet with a share of a GPU in place of `auto`.

    Ray is connected. Every node with room is asked; nothing is started if one does not pass.

    Args:
        disk_bytes: what is still to be written.
        checkpoint_bytes: what each Run takes besides while it is in work.

    Raises:
        NoRoom: no node, nor several together, can ever hold what one Run asks for.
        NotReady: something else does not hold.
    """
    nodes, fleet, at = ray.nodes(), work.experiment.fleet, work.store
    found = sites(nodes, fleet)
    if not found:
        raise refuse(nodes, fleet)
    gpus = sum(node["Resources"].get("GPU", 0) for node in nodes if node["Alive"])
    checks = [_room(found, fleet, gpus)]
    ids = list(dict.fromkeys(node for site in found for node in site.nodes))
    seen = _ask_all(ids, at)
    in_work = sum(site.workers for site in found) // fleet.workers_per_run
    to_write = disk_bytes + in_work * checkpoint_bytes
    checks += [*_storage(seen, at, to_write), _versions(seen)]
    if all(check.passed for check in checks) and fleet.gpus:
        check, fleet = _memory(work, found[0].nodes[0])
        checks.append(check)
    if not all(check.passed for check in checks):
        raise NotReady("\n".join(["not ready; nothing was trained", *map(str, checks)]))
    return checks, fleet


def _room(found: Sequence[Site], fleet: Fleet, gpus: float) -> Requirement:
    """Where Runs find room; `gpus` are those of all nodes that live."""
    nodes = {node for site in found for node in site.nodes}
    workers = sum(site.workers for site in found)
    spread = [site for site in found if len({*site.nodes}) > 1]
    over = f", {len({*spread[0].nodes})} nodes to a Run" if spread else ""
    asked = f"{fleet.num_cpus} CPUs and {fleet.gpus:g} GPUs"
    told = f"room: {workers} workers of {asked} on {len(nodes)} nodes{over}"
    if gpus and not fleet.gpus:
        told += f"; {gpus:g} GPUs stand idle: set fleet.num_gpus, to auto for as many as fit"
    return Requirement(True, told)


def _ask_all(nodes: Sequence[str], at: Store) -> list[Seen]:
    """What every node sees of the storage, and what runs there.

    Raises:
        NotReady: a node does not answer.
    """
    token = uuid.uuid4().hex
    folder = at.root / "preflight" / token
    store.write(folder / "driver", token.encode())
    look = ray.remote(_look)
    try:
        if [*nodes] == [ray.get_runtime_context().get_node_id()]:
            return [_look(folder, token, nodes[0])]  # no process needs to start
        asked = [
            look.options(num_cpus=0, max_retries=0, **on_node(node)).remote(folder, token, node)
            for node in nodes
        ]
        return ray.get(asked, timeout=ANSWER_S)
    except ray.exceptions.GetTimeoutError:
        raise NotReady(
            f"a node did not answer within {ANSWER_S:.0f} s; see `ray status`, and that this "
            "package can be imported there"
        ) from None
    except ray.exceptions.RayTaskError as error:
        raise NotReady(
            f"a node cannot run our code: {error.cause}; install the same package on all nodes, or "
            "submit with --working-dir"
        ) from None
    finally:
        store.remove(folder)


def _look(folder: Folder, token: str, node: str) -> Seen:
    """Look at the storage and at the versions here; the node on which this runs is asked."""
    free = None
    try:
        found = (folder / "driver").read_bytes().decode()
        marker = "" if found == token else "another file lies there"
        if not marker:
            store.write(folder / node, token.encode())
            if isinstance(folder, Path):
                free = shutil.disk_usage(folder).free
    except OSError as error:
        marker = str(error)
    versions = {"Python": platform.python_version()}
    versions |= {name: importlib.metadata.version(name) for name in VERSIONS}
    return Seen(socket.gethostname(), marker, free, versions, digest_of_ours())


def _storage(seen: Sequence[Seen], at: Store, disk_bytes: float) -> list[Requirement]:
    """Whether all see and write the same folder, and it holds what is to be written."""
    blind = [f"{one.host}: {one.marker}" for one in seen if one.marker]
    if blind:
        return [
            Requirement(
                False,
                f"storage {at.root}: not the same folder on every node, or not writable there "
                f"({'; '.join(blind)}); name one that all share with --storage, such as a network "
                "file system or s3://bucket/prefix",
            )
        ]
    checks = [Requirement(True, f"storage {at.root}: seen and written by {len(seen)} nodes")]
    free = min((one.free for one in seen if one.free is not None), default=None)
    if free is not None:
        told = f"disk: {_size(disk_bytes)} to write, {_size(free)} free"
        enough = disk_bytes < free
        checks.append(
            Requirement(enough, told if enough else f"{told}; make room, or use --storage")
        )
    return checks


def _size(num_bytes: float) -> str:
    return f"{num_bytes / 1e9:.2f} GB" if num_bytes >= 1e9 else f"{num_bytes / 1e6:.1f} MB"


def _versions(seen: Sequence[Seen]) -> Requirement:
    """Whether all nodes run the same Python, packages and code."""
    faults = []
    for name in ("Python", *VERSIONS):
        by_version: dict[str, list[str]] = {}
        for one in seen:
            by_version.setdefault(one.versions[name], []).append(one.host)
        if len(by_version) > 1:
            found = "; ".join(f"{v} on {', '.join(hosts)}" for v, hosts in by_version.items())
            faults.append(f"{name} {found}")
    if len({one.code for one in seen}) > 1:
        faults.append("our own code is not the same on all nodes; submit it with --working-dir")
    if faults:
        return Requirement(False, f"versions: {'. '.join(faults)}")
    told = ", ".join(f"{name} {version}" for name, version in seen[0].versions.items())
    return Requirement(True, f"versions: {told}, our code {seen[0].code}, on {len(seen)} nodes")


def _memory(work: Work, node: str) -> tuple[Requirement, Fleet]:
    """Whether as many Runs as are asked for fit on a GPU; for `auto`, how many do."""
    fleet, runs = work.experiment.fleet, [of_arm[0] for of_arm in work.plan.arms.values()]
    options = {"num_cpus": 0, "num_gpus": 1, "max_retries": 0, **on_node(node)}
    try:
        found = ray.get(ray.remote(_probe).options(**options).remote(runs, work.dataset))
    except ray.exceptions.RayTaskError as error:
        if not isinstance(error.cause, torch.cuda.OutOfMemoryError):
            raise
        return Requirement(False, "GPU memory: two steps of a Run do not fit on a GPU alone"), fleet
    return memory_fits(runs, found, fleet)


def memory_fits(
    runs: Sequence[Run], found: Sequence[Memory], fleet: Fleet
) -> tuple[Requirement, Fleet]:
    """Return whether the Runs fit as the fleet packs them, and the fleet with `auto` settled."""
    fit = packing(found)
    most = max(range(len(found)), key=lambda i: found[i].needed)
    told = (
        f"GPU memory: {runs[most].defense.name} takes {found[most].needed / 1e9:.2f} of "
        f"{found[most].total / 1e9:.2f} GB, so {fit} fit on a GPU"
    )
    if fleet.num_gpus == "auto":
        settled = fleet.model_copy(update={"num_gpus": 1 / max(fit, 1)})
        return Requirement(fit > 0, f"{told}; num_gpus: auto is 1/{max(fit, 1)}"), settled
    wanted = max(1, round(1 / fleet.gpus))
    if fit < wanted:
        return Requirement(
            False, f"{told}, but {wanted} are asked for; raise fleet.num_gpus"
        ), fleet
    return Requirement(True, told), fleet


def _probe(runs: Sequence[Run], dataset: Dataset) -> list[Memory]:
    device = torch.device("cuda")
    images = torch.tensor(dataset.pool_images, device=device)
    labels = torch.tensor(dataset.pool_labels, device=device)
    return measure(runs, images, labels, image_shape(dataset))
