"""Ray clusters that tests start as users do, by `ray start`, with their own token and ports."""

import logging
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

HOUSE = Path(__file__).parents[2]
RAY = [sys.executable, "-m", "ray.scripts.scripts"]


def join(address: str) -> None:
    """Make this process a driver of the cluster at an address, and of no other any more."""
    import ray

    if ray.is_initialized():
        # Ray knows a host by another address than loopback; the port is enough to tell clusters.
        if ray.get_runtime_context().gcs_address.split(":")[-1] == address.split(":")[-1]:
            return
        ray.shutdown()
    ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)


def leave() -> None:
    """Be a driver of no cluster any more."""
    import ray

    ray.shutdown()


def free_port() -> int:
    """A port that Ray does not give to workers, which get 10002 to 19999."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def own_ports() -> list[str]:
    """Options of `ray start` for what otherwise has the same port in every node of this host."""
    return [f"--dashboard-agent-listen-port={free_port()}"]


def client_environment(home: Path) -> dict[str, str]:
    """The environment of every node and client of a new cluster: its token, its dashboard."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
    return kept | {
        "HOME": str(home),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_API_SERVER_ADDRESS": f"http://127.0.0.1:{free_port()}",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",  # 30 s for Ray Serve, which nobody uses here
    }


@contextmanager
def started_head(environment: dict[str, str], options: Sequence[str]) -> Iterator[str]:
    """A head node until it is left; gives the address that other nodes join."""
    port, dashboard = free_port(), environment["RAY_API_SERVER_ADDRESS"].rpartition(":")[2]
    # Unix sockets have short names: pytest's folders are too deep for Ray's.
    folder = Path(f"/tmp/ray-{port}")
    own = [f"--port={port}", f"--dashboard-port={dashboard}", f"--temp-dir={folder}"]
    own += ["--dashboard-host=127.0.0.1", f"--ray-client-server-port={free_port()}"]
    own += own_ports()
    try:
        with started([*RAY, "start", "--head", "--block", *options, *own], environment):
            wait_for_port(int(dashboard))
            yield f"127.0.0.1:{port}"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def started(
    command: Sequence[str], environment: dict[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is killed with all its children: told to end, a node takes 15 s and more."""
    process = subprocess.Popen(
        command,
        env=environment,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for_port(port: int) -> None:
    """Wait until something listens on a port of this host, at most a minute."""
    for _ in range(240):
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return
        except OSError:
            time.sleep(0.25)
    raise TimeoutError(f"nothing listens on port {port} after a minute")
