"""What `faults.py` does to a run, and how the report is to name it."""

import contextlib
import os
import random
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from fault_worlds import OnS3, Share, SmallDisk, TwoHosts, World  # beside this file

AWAY_S = 30.0
CUT_S = 60.0  # Ray takes a node for dead some 40 seconds after it was last heard of
Struck = dict[str, str]  # what was struck -> the Run whose file was damaged, or ""


class Fault(NamedTuple):
    """One kind."""

    strike: Callable[[Any, random.Random], Struck]  # nothing, where there is nothing to strike yet
    named: str  # a regular expression, of an event in the results
    ends_command: bool = False
    ends_cluster: bool = False
    poison: str = ""  # is in the run from its start; nothing strikes it
    world: type[World] = World
    strikes: int = 5  # in one experiment at the most


def kill(title: str) -> Callable[[World, random.Random], Struck]:
    """SIGKILL of one process with this title."""

    def strike(world: World, rng: random.Random) -> Struck:
        found = world.processes(title)
        if found:
            rng.choice(found).kill()
        return {"": ""} if found else {}

    return strike


def kill_driver(world: World, rng: random.Random) -> Struck:
    """SIGKILL of the command, once it has begun."""
    if not world.has_begun():
        return {}
    world.kill_driver()
    return {"": ""}


def kill_raylet(world: World, rng: random.Random) -> Struck:
    """A node at work is lost at once; another joins two seconds later."""
    if not world.processes("ray::RayTrainWorker"):
        return {}
    world.cluster.remove_node(rng.choice([*world.cluster.worker_nodes]), allow_graceful=False)
    time.sleep(2.0)
    world.cluster.add_node(num_cpus=1)
    return {"": ""}


def kill_head(world: World, rng: random.Random) -> Struck:
    """Every process of Ray's on the head, once: the command takes a minute to give it up."""
    processes = [
        one.process for kind in world.cluster.head_node.all_processes.values() for one in kind
    ]
    if not world.has_begun() or any(one.poll() is not None for one in processes):
        return {}
    for one in processes:
        one.kill()
    return {"": ""}


FILES = {
    "checkpoint": "runs/*/checkpoint.pt",
    "weights": "runs/*/model.safetensors",
    "answers": "runs/*/answers/*/answers.parquet",
    "DONE": "runs/*/DONE",
    "scores": "experiments/*/scores/**/*.parquet",
}


def truncate(world: World, rng: random.Random) -> Struck:
    """The driver dies, as when its machine does, and one file of each kind is cut to half."""
    if not world.has_begun() or not any(any(world.storage.glob(one)) for one in FILES.values()):
        return {}
    world.kill_driver()
    time.sleep(1.0)  # workers end with their driver
    storage, struck = world.folder / "storage", Struck()
    for name, pattern in FILES.items():
        found = [path for path in storage.glob(pattern) if "corrupt" not in str(path)]
        runs = {*struck.values()}  # one damage to a Run
        found = [path for path in found if path.relative_to(storage).parts[1] not in runs]
        if found:
            path = rng.choice(sorted(found))
            os.truncate(path, path.stat().st_size // 2)
            struck[name] = path.relative_to(storage).parts[1]
    return struck or {"driver alone": ""}


def fill(world: World, rng: random.Random) -> Struck:
    """The disk is full until the command has ended."""
    if not world.finished():
        return {}
    with contextlib.suppress(OSError), (world.folder / "storage" / "filler").open("wb") as file:
        while True:
            file.write(bytes(1 << 16))
            file.flush()
    return {"": ""}


def unmount(world: Share, rng: random.Random) -> Struck:
    """The share is not mounted for AWAY_S; its mount point is empty."""
    if not world.finished():
        return {}
    world.unmount()
    time.sleep(AWAY_S)
    world.mount()
    return {"": ""}


def stop_server(world: OnS3, rng: random.Random) -> Struck:
    """The S3 server accepts connections and answers nothing for AWAY_S."""
    if not world.finished():
        return {}
    world.server.suspend()
    time.sleep(AWAY_S)
    world.server.resume()
    return {"": ""}


def cut(world: TwoHosts, rng: random.Random) -> Struck:
    """Two hosts do not hear each other for CUT_S, while a Run is in work on both."""
    if not world.finished():
        return {}
    world.cut(CUT_S)
    return {"": ""}


def nothing(world: World, rng: random.Random) -> Struck:
    return {"": ""}


KILLED = r"did not say how it ended"
WORKER_DIED = r"worker died|its workers died|failed to initialize|worker process has died"
FAULTS = {
    "worker": Fault(kill("ray::RayTrainWorker"), WORKER_DIED),
    "controller": Fault(kill("ray::LaneController"), r"ended: ActorDiedError"),
    "raylet": Fault(kill_raylet, rf"its node was lost|{WORKER_DIED}"),
    "driver": Fault(kill_driver, KILLED, ends_command=True),
    "truncated": Fault(truncate, rf"set aside|{KILLED}", ends_command=True),
    "queue": Fault(kill("ray::RunQueue"), r"exit code 1", ends_command=True),
    "head": Fault(kill_head, rf"exit code [12]|{KILLED}", ends_command=True, ends_cluster=True),
    "disk": Fault(fill, r"No space left", ends_command=True, world=SmallDisk),
    "share": Fault(unmount, r"is it mounted", world=Share),
    "s3": Fault(stop_server, r"storage", world=OnS3),
    "partition": Fault(cut, r"its node was lost", world=TwoHosts, strikes=1),  # as long as a run
    "raises": Fault(nothing, r"RuntimeError: poisoned", poison="raises", strikes=1),
    "memory": Fault(nothing, r"out of memory", poison="memory", strikes=1),
    "hangs": Fault(nothing, r"after its last word", poison="hangs", strikes=1),
}
NEEDS_ROOT = (SmallDisk, Share, TwoHosts)
