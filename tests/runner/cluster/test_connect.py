"""A cluster that is asked for by its address."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("ray", reason="machines that only train have no Ray")

from runner.cluster import connect, known_ray

HOUSE = Path(__file__).parents[3]
CONNECTS = """
import time
from runner.cluster.connect import NoCluster, connect
began = time.monotonic()
try:
    connect()
except NoCluster as error:
    print(time.monotonic() - began, error)
"""


def test_a_cluster_that_does_not_answer_is_named_within_seconds():
    """In a process of its own: one that is the driver of a cluster asks for no other."""
    with socket.socket() as bound:  # but not listening, so that nobody else takes the port
        bound.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{bound.getsockname()[1]}"
        command, environment = [sys.executable, "-c", CONNECTS], {"RAY_ADDRESS": address}
        done = subprocess.run(
            command, cwd=HOUSE, env=os.environ | environment, capture_output=True, text=True
        )
    took_s, _, said = done.stdout.partition(" ")
    assert re.search(f"RAY_ADDRESS={address}.*unset RAY_ADDRESS", said), done.stderr
    assert float(took_s) < 5


def test_only_a_ray_whose_inside_is_known_is_started_without_its_helpers(
    monkeypatch: pytest.MonkeyPatch,
):
    from ray._private import node

    rays_own = node.Node
    with connect._bare():
        assert node.Node is not rays_own
    assert node.Node is rays_own
    monkeypatch.setattr(known_ray, "KNOWN", "2.59.")
    with connect._bare():
        assert node.Node is rays_own
