"""The Ray cluster that this driver joins or starts, and what is set of Ray before."""

import contextlib
import os
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import Any

import ray
from ray._private import ray_constants

from runner.cluster import _exposure
from runner.cluster.known_ray import is_known
from runner.faults import UserFault

# Every one of these is unset by default in Ray, or set to a value that suits longer jobs.
ENVIRONMENT = {
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",  # of the lane's controller; 2 s by default
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",  # one more process per lane, and nobody asks it
    "RAY_TRAIN_ENABLE_PRINT_PATCH": "0",  # prints came out twice
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
}


class NoCluster(UserFault):
    """There is no cluster where RAY_ADDRESS says."""


def connect() -> None:
    """Join the cluster that RAY_ADDRESS names (a submitted job has it), or start one here.

    Raises:
        NoCluster: RAY_ADDRESS names a cluster that does not answer.
        Exposed: it answers anyone, beyond this machine.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    if ray.is_initialized():
        return
    address = os.environ.get("RAY_ADDRESS", "local")
    local = {"include_dashboard": False} if address == "local" else {}
    stop = signal.getsignal(signal.SIGTERM)
    if local:
        _exposure.close_up(os.environ, Path.home())
        ray_constants.ENABLE_RAY_CLUSTER = False  # then it listens on loopback alone
    try:
        host, colon, port = address.rpartition(":")
        if colon and port.isdigit() and "/" not in host:
            # Ray itself tries for more than three minutes before it says so.
            socket.create_connection((host, int(port)), timeout=10).close()
        with _bare() if local else contextlib.nullcontext():
            ray.init(address=address, log_to_driver=False, logging_level="ERROR", **local)  # pyright: ignore[reportArgumentType]
    except (OSError, ValueError, RuntimeError) as error:
        raise NoCluster(
            f"no Ray cluster answers at RAY_ADDRESS={address} ({error}); start it, or unset "
            "RAY_ADDRESS to use this machine alone; a cluster that asks for a token needs "
            "RAY_AUTH_MODE=token here too"
        ) from None
    if callable(stop) and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, stop)  # Ray has put its own there, which knows no checkpoint
    _exposure.keep_token_private(Path.home())
    open_to_all = _exposure.answers_anyone(ray.get_runtime_context().gcs_address)
    addresses = [node["NodeManagerAddress"] for node in ray.nodes() if node["Alive"]]
    try:
        said = _exposure.remark(addresses, open_to_all, os.environ)
    except _exposure.Exposed:
        ray.shutdown()
        raise
    if said:
        print(f"runner: warning: {said}", file=sys.stderr, flush=True)


def _bare() -> contextlib.AbstractContextManager[None]:
    """What starts a cluster without the helpers of Ray's that nobody needs, where we know Ray."""
    if not is_known():
        return contextlib.nullcontext()
    from runner.cluster._bare import bare

    return bare()


def beside_driver() -> dict[str, Any]:
    """Return the options of an actor that is to live as long as the driver's node."""
    return {"num_cpus": 0, **on_node(ray.get_runtime_context().get_node_id())}


def on_node(node: str) -> dict[str, Any]:
    """Return the option that puts a task or an actor on one node and nowhere else."""
    return {"label_selector": {ray._raylet.RAY_NODE_ID_KEY: node}}  # pyright: ignore[reportAttributeAccessIssue]
