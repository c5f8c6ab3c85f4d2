"""How long real lanes take to start on several nodes, and how many bare nodes a machine holds.

    python benchmarks/fleet_starts.py --nodes 1 2 4  # real raylets, one lane each
    python benchmarks/fleet_starts.py --bare 64      # without lanes, until 10 GB are held

Nodes are raylets of one CPU each on this machine, so a lane's start shares its cores with all the
others: on nodes of their own they start beside each other. Lanes are real; their Runs sleep for 20
seconds. Printed for --nodes: seconds from the call of `train_all` until the first and the last lane
has a Run in work, and until all has ended; for --bare: memory by node, and what one look at all
nodes costs the driver.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import psutil
import ray
from ray.cluster_utils import Cluster

from runner.cluster.connect import connect
from runner.cluster.sites import sites
from runner.driver.snapshot import Snapshot
from runner.experiment.experiment import Experiment
from runner.experiment.fleet import Fleet
from runner.fleet import fleet
from runner.fleet.queue import Task
from runner.plan.plan import Run
from runner.plan.work import prepare
from runner.train.workplace import Workplace

MOST_BYTES, TIMER_S = 10e9, 20.0


def timer(run: Run, place: Workplace, seconds: float) -> None:
    """Stands for training."""
    time.sleep(seconds)


def started(nodes: int, folder: Path) -> None:
    """Do a few Runs on so many nodes, and print when each lane began."""
    experiment = Experiment.model_validate(
        {
            "name": "starts",
            "data": "digits",
            "model": {"name": "small_cnn", "width": 16},
            "training": {"epochs": 1, "precision": "fp32"},
            "design": {"num_models": max(6, 2 * nodes)},
            "arms": {"erm": {"defense": "erm"}},
            "fleet": {"max_workers": 1},
        }
    )
    work = prepare(experiment, folder)
    first: dict[str, float] = {}

    def watch(state: Snapshot) -> None:
        for worker in state.working:
            first.setdefault(worker.split("/")[0], time.monotonic() - began)

    began = time.monotonic()
    # Long enough that the first lane does not take the last one's Run.
    tasks = [Task(run, [partial(timer, seconds=TIMER_S)]) for run in work.plan.runs]
    end = fleet.train_all(tasks, work.dataset, experiment.fleet, work.store, watch)
    ended = time.monotonic() - began
    assert end.done == len(tasks), end
    lanes = sorted(first.values())
    print(
        f"{nodes} nodes: {len(lanes)} lanes, the first began after {lanes[0]:.1f} s, the last "
        f"after {lanes[-1]:.1f} s; all ended after {ended:.1f} s, {end.since_first_claim_s:.1f} s "
        "of it from the first claim on",
        flush=True,
    )


def held() -> tuple[int, int]:
    """Bytes that this process and all it started hold (PSS), and how many processes they are."""
    processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
    total = 0
    for process in processes:
        try:
            total += process.memory_full_info().pss
        except psutil.Error:  # it ended meanwhile
            continue
    return total, len(processes)


def bare(most: int, cluster: Cluster) -> None:
    """Add nodes until there are so many or the memory is used, and print what they cost."""
    count = 1
    while True:
        total, processes = held()
        if count in (1, 2, 4, 8, 16, 32, 64) or count == most or total > MOST_BYTES:
            times, room = [], []
            for _ in range(5):
                start = time.monotonic()
                nodes = ray.nodes()
                middle = time.monotonic()
                room = sites(nodes, Fleet())
                times.append((middle - start, time.monotonic() - middle))
            look, count_room = (1e3 * sorted(each)[2] for each in zip(*times, strict=True))
            print(
                f"{count} nodes: {total / 1e9:.2f} GB in {processes} processes; ray.nodes() "
                f"{look:.1f} ms, sites {count_room:.2f} ms, {len(room)} with room",
                flush=True,
            )
        if count == most or total > MOST_BYTES:
            return
        cluster.add_node(num_cpus=1)
        count += 1


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nodes", type=int, nargs="*", default=[], help="with a lane each")
    parser.add_argument("--bare", type=int, default=0, help="at the most, without lanes")
    given = parser.parse_args()
    if len(given.nodes) > 1:  # a process each, since one cluster leaves things behind for the next
        for nodes in given.nodes:
            subprocess.run([sys.executable, __file__, "--nodes", str(nodes)], check=True)
        return
    # The processes of raylets inherit it; workers that nobody asked for are not to be counted.
    os.environ["RAY_prestart_worker_first_driver"] = "0"  # noqa: SIM112 - Ray spells it so
    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False}
    )
    try:
        for _ in range((given.nodes or [1])[0] - 1):
            cluster.add_node(num_cpus=1)
        os.environ["RAY_ADDRESS"] = str(cluster.address)
        connect()
        with tempfile.TemporaryDirectory() as folder:
            if given.bare:
                bare(given.bare, cluster)
            else:
                started(given.nodes[0], Path(folder))
    finally:
        ray.shutdown()
        cluster.shutdown()


if __name__ == "__main__":
    import fleet_starts  # workers import its steps by this name, and not from __main__

    fleet_starts.main()
