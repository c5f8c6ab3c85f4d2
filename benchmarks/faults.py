"""The fault campaign: what a run loses when something dies, fills up or hangs at a random moment.

    PYTHONPATH=. python benchmarks/faults.py --trials 20 --seed 1 [--kinds worker ...]

Each trial starts the command line on a real Ray cluster of this host (a head without CPUs and two
nodes of one CPU each; a new one where the fault ends it), waits for a moment drawn uniformly over
the seconds that an undisturbed run takes, does one thing to it, and gives the same command again
until it ends well. Then it compares with the undisturbed run:

commands   that were needed, the disturbed one included: 1 says that it went on by itself
lost       Runs that were finished before the fault and are not at the end
repeated   Runs that were finished before it, undamaged, and were trained again
same bits  trials whose weights and figures are those of the undisturbed run
named      trials in which the disturbed command said what had happened
recovery   seconds from the fault until the next Run, score or report was finished

`disk` and `readonly` mount a small file system, so they need root; elsewhere they are left out.
"""

import argparse
import contextlib
import hashlib
import json
import os
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import psutil
import yaml
from faulty import POISON  # beside this file
from ray.cluster_utils import Cluster

from runner.cluster import ENVIRONMENT

HERE = Path(__file__).parent
TINY = {
    "name": "tiny",
    "data": {"name": "digits", "num_examples": 200},
    "model": {"name": "small_cnn", "width": 4},
    "training": {"epochs": 30, "batch_size": 32, "precision": "fp32"},
    "design": {"name": "pairs", "num_models": 8},
    "arms": {"erm": {"defense": "erm"}, "trades": {"defense": "trades"}},
    "robustness": {"num_examples": 60, "attacks": {"pgd2": {"name": "pgd", "num_steps": 2}}},
    "fleet": {"checkpoint_every_s": 0.2, "hang_after_s": 15, "wait_for_nodes_s": 60},
}
COMMANDS = 4  # at most, until a trial counts as not recovered
LIMIT_S = 300.0  # for one command
ROOM = 8e9  # bytes that a cluster and its Runs may take before Ray calls a node out of memory
THRESHOLD = "RAY_memory_usage_threshold"


class World:
    """A cluster, a storage folder, and a driver at work on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.storage = folder / "storage"
        self.cluster: Cluster | None = None
        self.driver: subprocess.Popen[str] | None = None
        self.out = ""

    def start_cluster(self) -> None:
        if self.cluster is None:
            self.cluster = Cluster(
                initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False}
            )
            for _ in range(2):
                self.cluster.add_node(num_cpus=1)

    def stop_cluster(self) -> None:
        if self.cluster is not None:
            self.cluster.shutdown()
            self.cluster = None

    def start_driver(self, poison: str = "") -> None:
        """Give the command, as a user would; `poison` does something to one of its Runs."""
        self.start_cluster()
        assert self.cluster is not None
        (self.folder / "tiny.yaml").write_text(yaml.safe_dump(TINY))
        command = [sys.executable, str(HERE / "faulty.py"), "run", str(self.folder / "tiny.yaml")]
        self.driver = subprocess.Popen(
            [*command, "--storage", str(self.storage)],
            env=os.environ | {"RAY_ADDRESS": self.cluster.address, POISON: poison},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def wait(self) -> int:
        """Wait for the command's end; return its exit code."""
        assert self.driver is not None
        try:
            self.out, _ = self.driver.communicate(timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            os.killpg(self.driver.pid, signal.SIGKILL)
            self.out, _ = self.driver.communicate()
            self.out += f"\nended after {LIMIT_S:.0f} s"
        return self.driver.returncode

    def processes(self, title: str) -> list[psutil.Process]:
        """The processes of the cluster whose title begins so."""
        assert self.cluster is not None
        found = []
        for node in [self.cluster.head_node, *self.cluster.worker_nodes]:
            for raylet in node.all_processes["raylet"]:
                with contextlib.suppress(psutil.Error):
                    found += psutil.Process(raylet.process.pid).children()
        titled = []
        for process in found:
            with contextlib.suppress(psutil.Error):
                if " ".join(process.cmdline()).startswith(title):
                    titled.append(process)
        return titled

    def finished(self) -> dict[str, int]:
        """When each finished Run was finished, in ns."""
        return {
            done.parent.name: done.stat().st_mtime_ns for done in self.storage.glob("runs/*/DONE")
        }

    def progress(self) -> int:
        """When anything was last finished, in ns."""
        made = [*self.storage.rglob("DONE"), *self.storage.rglob("index.html")]
        return max((path.stat().st_mtime_ns for path in made), default=0)

    def bits(self) -> str:
        """A digest of all weights and of every figure that is no time."""
        found = hashlib.sha256()
        for weights in sorted(self.storage.glob("runs/*/model.safetensors")):
            found.update(weights.parent.name.encode() + weights.read_bytes())
        results = json.loads((self.storage / "experiments/tiny/results.json").read_bytes())
        for arm in results["arms"].values():
            del arm["train_time_s"]
        kept = {key: results[key] for key in ("arms", "null_control", "evaluation")}
        return found.hexdigest() + hashlib.sha256(json.dumps(kept).encode()).hexdigest()


class Fault(NamedTuple):
    """What is done to a run, and how it is known again in what the command says."""

    strike: Callable[[World, random.Random], str]  # returns what was damaged, if anything
    named: str  # a regular expression
    ends_cluster: bool = False
    poison: str = ""
    small_disk: bool = False


def kill(title: str) -> Callable[[World, random.Random], str]:
    """SIGKILL of one process with this title, if there is one at the moment."""

    def strike(world: World, rng: random.Random) -> str:
        found = world.processes(title)
        if not found:
            return "nothing"
        rng.choice(found).kill()
        return ""

    return strike


def kill_driver(world: World, rng: random.Random) -> str:
    assert world.driver is not None
    os.killpg(world.driver.pid, signal.SIGKILL)
    return ""


def kill_raylet(world: World, rng: random.Random) -> str:
    """A node is lost at once; another joins two seconds later."""
    cluster = world.cluster
    assert cluster is not None
    cluster.remove_node(rng.choice([*cluster.worker_nodes]), allow_graceful=False)
    time.sleep(2.0)
    cluster.add_node(num_cpus=1)
    return ""


def kill_head(world: World, rng: random.Random) -> str:
    assert world.cluster is not None
    assert world.cluster.head_node is not None
    for processes in world.cluster.head_node.all_processes.values():
        for one in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(one.process.pid, signal.SIGKILL)
    return ""


def truncate(pattern: str) -> Callable[[World, random.Random], str]:
    """One file is cut to half; the driver dies with it, as when a machine does."""

    def strike(world: World, rng: random.Random) -> str:
        kill_driver(world, rng)
        assert world.driver is not None
        world.driver.wait()
        found = sorted(path for path in world.storage.glob(pattern) if path.is_file())
        if not found:
            return "nothing"
        path = rng.choice(found)
        os.truncate(path, path.stat().st_size // 2)
        return str(path)

    return strike


def fill(world: World, rng: random.Random) -> str:
    """The disk is full until the command has ended."""
    with contextlib.suppress(OSError), (world.storage / "filler").open("wb") as file:
        while True:
            file.write(bytes(1 << 16))
            file.flush()
    return ""


def read_only(world: World, rng: random.Random) -> str:
    """The storage takes nothing for 30 seconds."""
    subprocess.run(["mount", "-o", "remount,ro", str(world.storage)], check=True)
    time.sleep(30.0)
    subprocess.run(["mount", "-o", "remount,rw", str(world.storage)], check=True)
    return ""


def nothing(world: World, rng: random.Random) -> str:
    """The poison is already in the run."""
    return ""


FAULTS = {
    "worker": Fault(kill("ray::RayTrainWorker"), r"worker died|all its workers died|nothing"),
    "controller": Fault(kill("ray::TrainController"), r"lane-.* ended: \w+"),
    "queue": Fault(kill("ray::RunQueue"), r"queue|actor", ends_cluster=True),
    "driver": Fault(kill_driver, r""),
    "raylet": Fault(kill_raylet, r"its node was lost", ends_cluster=True),
    "head": Fault(kill_head, r"cluster|Ray|GCS", ends_cluster=True),
    "disk": Fault(fill, r"No space left", small_disk=True),
    "readonly": Fault(read_only, r"storage was away|Read-only", small_disk=True),
    "checkpoint": Fault(truncate("runs/*/checkpoint.pt"), r"set aside"),
    "weights": Fault(truncate("runs/*/model.safetensors"), r"set aside"),
    "answers": Fault(truncate("runs/*/answers/*/answers.parquet"), r"set aside"),
    "done": Fault(truncate("runs/*/DONE"), r"set aside"),
    "scores": Fault(truncate("experiments/*/scores/*/targets/**/*.parquet"), r"set aside"),
    "raises": Fault(nothing, r"RuntimeError: poisoned", poison="raises"),
    "memory": Fault(nothing, r"out of memory|worker died 2 times|died", poison="memory"),
    "hangs": Fault(nothing, r"after its last word", poison="hangs"),
}


class Outcome(NamedTuple):
    """What one trial came to."""

    moment_s: float
    struck: bool  # there was something to strike at that moment
    commands: int
    recovered: bool
    lost: int
    repeated: int
    same_bits: bool
    named: bool
    recovery_s: float
    said: str


def trial(world: World, fault: Fault, moment_s: float, bits: str, rng: random.Random) -> Outcome:
    """Disturb one run at a moment, give the command until it ends well, and compare."""
    started = time.time()
    world.start_driver(fault.poison)
    assert world.driver is not None
    while time.time() - started < moment_s and world.driver.poll() is None:
        time.sleep(0.05)
    before = world.finished()
    at_ns = time.time_ns()
    damaged = fault.strike(world, rng)
    code, commands = world.wait(), 1
    said, first = world.out, code
    recovery_s = (world.progress() - at_ns) / 1e9
    if fault.small_disk:
        (world.storage / "filler").unlink(missing_ok=True)
    while code != 0 and commands < COMMANDS:
        if fault.ends_cluster:
            world.stop_cluster()
        world.start_driver()
        again = time.time()
        while world.driver.poll() is None and world.progress() <= at_ns:
            time.sleep(0.1)
        recovery_s = time.time() - again if first else recovery_s
        code, commands, first = world.wait(), commands + 1, 0
        said += world.out
    after = world.finished()
    whole = {run: at for run, at in before.items() if f"/{run}/" not in damaged}
    return Outcome(
        moment_s=moment_s,
        struck=damaged != "nothing",
        commands=commands,
        recovered=code == 0,
        lost=sum(run not in after for run in whole),
        repeated=sum(run in after and after[run] != at for run, at in whole.items()),
        same_bits=code == 0 and world.bits() == bits,
        named=re.search(fault.named, said) is not None,
        recovery_s=recovery_s,
        said=said,
    )


@contextlib.contextmanager
def folder_of(fault: Fault, root: Path) -> Iterator[Path]:
    """A folder whose storage is a small file system of its own where the fault needs one."""
    folder = Path(tempfile.mkdtemp(dir=root))
    (folder / "storage").mkdir()
    if fault.small_disk:
        mount = ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(folder / "storage")]
        subprocess.run(mount, check=True)
    try:
        yield folder
    finally:
        if fault.small_disk:
            subprocess.run(["umount", "-l", str(folder / "storage")], check=False)
        shutil.rmtree(folder, ignore_errors=True)


def row(kind: str, outcomes: Sequence[Outcome]) -> str:
    """One line of the table, over the trials in which there was something to strike."""
    struck = [one for one in outcomes if one.struck]
    if not struck:
        return f"| {kind} | 0 of {len(outcomes)} | | | | | | |"
    seconds = [one.recovery_s for one in struck if one.recovered]
    commands = statistics.mean(one.commands for one in struck)
    recovery = f"{statistics.median(seconds):.0f} ({max(seconds):.0f})" if seconds else "none"
    return (
        f"| {kind} | {len(struck)} of {len(outcomes)} | {commands:.1f} | "
        f"{sum(one.lost for one in struck)} | {sum(one.repeated for one in struck)} | "
        f"{sum(one.same_bits for one in struck)} | {sum(one.named for one in struck)} | "
        f"{recovery} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=20, help="random moments of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", nargs="+", choices=FAULTS, default=[*FAULTS])
    parser.add_argument("--record", type=Path, help="file to which every trial is added, as JSON")
    given = parser.parse_args()
    os.environ.update(ENVIRONMENT)
    os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE.parent), str(HERE)])
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ["RUNNER_WITHOUT_TOKEN"] = "1"  # clusters of Ray's test class have none
    root = Path(tempfile.mkdtemp())
    world = World(root)
    try:
        undisturbed = World(root / "undisturbed")
        undisturbed.folder.mkdir()
        undisturbed.start_driver()
        started = time.time()
        assert undisturbed.wait() == 0, undisturbed.out
        usual_s, bits = time.time() - started, undisturbed.bits()
        world.cluster = undisturbed.cluster
        print(f"undisturbed: {usual_s:.0f} s, {len(undisturbed.finished())} Runs", flush=True)
        head = "| kind | trials | commands | lost | repeated | same bits | named | recovery (s) |"
        print(head, "|---|---|---|---|---|---|---|---|", sep="\n", flush=True)
        for kind in given.kinds:
            fault = FAULTS[kind]
            if fault.small_disk and os.geteuid() != 0:
                print(f"| {kind} | needs root | | | | | | |", flush=True)
                continue
            outcomes = []
            if kind == "memory":  # a cluster that calls a node full before this machine is
                world.stop_cluster()
                memory = psutil.virtual_memory()
                threshold = (memory.total - memory.available + ROOM) / memory.total
                os.environ[THRESHOLD] = f"{min(threshold, 0.95):.3f}"
            for number in range(given.trials):
                rng = random.Random(f"{given.seed} {kind} {number}")
                with folder_of(fault, root) as folder:
                    world.folder, world.storage = folder, folder / "storage"
                    one = trial(world, fault, rng.uniform(0, usual_s), bits, rng)
                if fault.ends_cluster:
                    world.stop_cluster()
                outcomes.append(one)
                if given.record:
                    with given.record.open("a") as file:
                        file.write(json.dumps({"kind": kind, **one._asdict()}) + "\n")
            if os.environ.pop(THRESHOLD, None):
                world.stop_cluster()
            print(row(kind, outcomes), flush=True)
    finally:
        world.stop_cluster()
        shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    main()
