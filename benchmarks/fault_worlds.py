"""Where `faults.py` works: a cluster, a storage, and a driver that is given the same command."""

import contextlib
import hashlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import yaml
from faulty import POISON  # beside this file
from ray.cluster_utils import Cluster

from runner.driver.driver import FILE, read
from runner.storage.cloud import Folder, folder_at

HERE = Path(__file__).parent
TINY: dict[str, Any] = {
    "name": "tiny",
    "data": {"name": "digits", "num_examples": 200},
    "model": {"name": "small_cnn", "width": 4},
    "training": {"epochs": 60, "batch_size": 32, "precision": "fp32"},
    "design": {"name": "pairs", "num_models": 8},
    "arms": {"erm": {"defense": "erm"}, "trades": {"defense": "trades"}},
    "robustness": {"num_examples": 60, "attacks": {"pgd2": {"name": "pgd", "num_steps": 2}}},
    "fleet": {"checkpoint_every_s": 0.2, "wait_for_nodes_s": 60},
}


class World:
    """A head without CPUs and two nodes of one CPU each, all on this host; a folder as storage."""

    environment: Mapping[str, str] = {}  # of nodes and drivers
    hang_after_s = 15  # a Run that says nothing for so long is ended

    def __init__(self, folder: Path) -> None:
        """
        Args:
            folder: of one experiment; another one takes its place for the next.
        """
        self.cluster: Any = None
        self.driver: subprocess.Popen[bytes] | None = None
        self.move(folder)

    def move(self, folder: Path) -> None:
        """Begin another experiment, in an empty storage."""
        self.folder, self.log = folder, folder / "log"
        self.storage: Folder = folder / "storage"
        (folder / "storage").mkdir()

    def leave(self) -> None:
        """Clear away what the experiment needed."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def heal(self) -> None:
        """Undo what lasts of a strike, before the same command is given again."""

    def start_cluster(self) -> None:
        if self.cluster is None:
            head = {"num_cpus": 0, "include_dashboard": False}
            self.cluster = Cluster(initialize_head=True, head_node_args=head)
            for _ in range(2):
                self.cluster.add_node(num_cpus=1)

    def stop_cluster(self) -> None:
        if self.cluster is not None:
            self.cluster.shutdown()
            self.cluster = None

    @property
    def address(self) -> str:
        return self.cluster.address

    def start_driver(self, poison: str = "") -> None:
        """Give the command, as a user would; `poison` does something to one of its Runs."""
        self.start_cluster()
        config = self.folder / "tiny.yaml"
        fleet = TINY["fleet"] | {"hang_after_s": self.hang_after_s}
        config.write_text(yaml.safe_dump(TINY | {"fleet": fleet}))
        command = [*self.prefix(), sys.executable, str(HERE / "faulty.py"), "run", str(config)]
        with self.log.open("ab") as log:
            self.driver = subprocess.Popen(
                [*command, "--storage", str(self.storage)],
                env=os.environ | self.environment | {"RAY_ADDRESS": self.address, POISON: poison},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def prefix(self) -> list[str]:
        """What the driver's command begins with."""
        return []

    def code(self) -> int | None:
        """The driver's exit code; None while it works."""
        assert self.driver is not None
        return self.driver.poll()

    def has_begun(self) -> bool:
        """Whether this driver has told of itself, and has not ended."""
        told = read(self.storage / "experiments/tiny" / FILE)
        assert self.driver is not None
        return told is not None and told["pid"] == self.driver.pid and told["ended"] is None

    def kill_driver(self) -> None:
        assert self.driver is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.driver.pid, signal.SIGKILL)
        self.driver.wait()

    def processes(self, title: str) -> list[psutil.Process]:
        """The processes of the cluster whose title begins so."""
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

    def finished(self) -> dict[str, str]:
        """A digest of each finished Run's DONE: that of one trained again has other seconds."""
        return {
            done.parent.name: hashlib.sha256(done.read_bytes()).hexdigest()
            for done in self.storage.glob("runs/*/DONE")
            if "corrupt" not in done.parent.name
        }

    def progress(self) -> set[str]:
        """All that is finished."""
        marks = [*self.storage.rglob("DONE"), *self.storage.rglob("index.html")]
        return {str(mark) for mark in marks if "corrupt" not in str(mark)}

    def results(self) -> dict[str, Any]:
        return json.loads((self.storage / "experiments/tiny/results.json").read_bytes())

    def bits(self) -> str:
        """A digest of all weights and of every figure that is no time."""
        found, results = hashlib.sha256(), self.results()
        for weights in sorted(self.storage.glob("runs/*/model.safetensors"), key=str):
            if "corrupt" not in weights.parent.name:
                found.update(weights.parent.name.encode() + weights.read_bytes())
        for arm in results["arms"].values():
            del arm["train_time_s"]
        kept = {key: results[key] for key in ("arms", "null_control", "evaluation")}
        return found.hexdigest() + hashlib.sha256(json.dumps(kept).encode()).hexdigest()


class SmallDisk(World):
    """Its storage is a file system of 24 MB."""

    def move(self, folder: Path) -> None:
        super().move(folder)
        mount = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder / "storage")]
        subprocess.run(mount, check=True)

    def heal(self) -> None:
        (self.folder / "storage" / "filler").unlink(missing_ok=True)

    def leave(self) -> None:
        subprocess.run(["umount", "-l", str(self.folder / "storage")], check=False)
        super().leave()


class Share(World):
    """Its storage is mounted there from elsewhere, as a share is."""

    def move(self, folder: Path) -> None:
        super().move(folder)
        (folder / "elsewhere").mkdir()
        self.mount()

    def mount(self) -> None:
        given = [str(self.folder / "elsewhere"), str(self.folder / "storage")]
        subprocess.run(["mount", "--bind", *given], check=True)

    def unmount(self) -> None:
        subprocess.run(["umount", "-l", str(self.folder / "storage")], check=False)

    def leave(self) -> None:
        self.unmount()
        super().leave()


class OnS3(World):
    """Its storage is in a real S3 server on this host, moto's."""

    hang_after_s = 90  # who waits for an answer of the server says nothing

    def __init__(self, folder: Path) -> None:
        from tests.made.s3 import serving  # the server is a package of the tests

        before = {one.pid for one in psutil.Process().children()}
        self.serving = serving()
        self.options = self.serving.__enter__()
        [self.server] = [one for one in psutil.Process().children() if one.pid not in before]
        super().__init__(folder)

    def move(self, folder: Path) -> None:
        super().move(folder)
        self.storage = folder_at(f"s3://bucket/{folder.name}{self.options}")

    def stop_cluster(self) -> None:
        """The server ends with the cluster: nothing else is left running."""
        super().stop_cluster()
        self.server.resume()
        self.serving.__exit__(None, None, None)


class TwoHosts(World):
    """Two hosts with their own addresses, a wire between them, and one CPU each.

    The head and the driver are on the first. Both have this host's file system.
    """

    HOSTS = ("here", "there")
    ADDRESSES = ("10.213.0.1", "10.213.0.2")
    environment: Mapping[str, str] = {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
    }

    def start_cluster(self) -> None:
        if self.cluster is not None:
            return
        names = self.names = [f"{host}-{os.getpid()}" for host in self.HOSTS]
        for name in names:
            _ip("netns", "add", name)
            _ip("-n", name, "link", "set", "lo", "up")
        ends = ["veth", "netns", names[0], "type", "veth", "peer", "name", "veth", "netns"]
        _ip("link", "add", *ends, names[1])
        for name, address in zip(names, self.ADDRESSES, strict=True):
            _ip("-n", name, "address", "add", f"{address}/24", "dev", "veth")
            _ip("-n", name, "link", "set", "veth", "up")
        head = ["--head", "--port=6399", "--include-dashboard=false"]
        self.cluster = [self.start_node(0, head), None]
        time.sleep(5.0)
        self.start_node_there()

    def start_node(self, host: int, options: list[str]) -> subprocess.Popen[bytes]:
        ray = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--num-cpus=1"]
        return subprocess.Popen(
            [*self.at(host), *ray, f"--node-ip-address={self.ADDRESSES[host]}", *options],
            env=os.environ | self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def start_node_there(self) -> None:
        """Start the second host's node, unless it is at work."""
        if self.cluster[1] is None or self.cluster[1].poll() is not None:
            self.cluster[1] = self.start_node(1, [f"--address={self.address}"])
            time.sleep(5.0)

    def cut(self, for_s: float) -> None:
        """Cut the wire; mend it, and start the node again if it took itself for dead."""
        _ip("-n", self.names[0], "link", "set", "veth", "down")
        time.sleep(for_s)
        _ip("-n", self.names[0], "link", "set", "veth", "up")
        time.sleep(5.0)
        self.start_node_there()

    def stop_cluster(self) -> None:
        if self.cluster is None:
            return
        for node in self.cluster:
            if node is not None and node.poll() is None:
                os.killpg(node.pid, signal.SIGTERM)
        for name in self.names:
            found = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True)
            for pid in found.stdout.split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            _ip("netns", "del", name)
        self.cluster = None

    def at(self, host: int) -> list[str]:
        return ["ip", "netns", "exec", self.names[host]]

    def prefix(self) -> list[str]:
        return self.at(0)

    @property
    def address(self) -> str:
        return f"{self.ADDRESSES[0]}:6399"


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)
