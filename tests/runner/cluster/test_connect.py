"""A cluster that is asked for by its address."""

import os
import socket
import time

import pytest

pytest.importorskip("ray", reason="machines that only train have no Ray")

from runner.cluster.connect import ENVIRONMENT, NoCluster, connect


def test_a_cluster_that_does_not_answer_is_named_within_seconds(monkeypatch: pytest.MonkeyPatch):
    for name in ENVIRONMENT:  # connect sets them; afterwards they are as they were
        monkeypatch.setenv(name, os.environ.get(name, ENVIRONMENT[name]))
    with socket.socket() as bound:  # but not listening, so that nobody else takes the port
        bound.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{bound.getsockname()[1]}"
        monkeypatch.setenv("RAY_ADDRESS", address)
        started = time.monotonic()
        with pytest.raises(NoCluster, match=f"RAY_ADDRESS={address}.*unset RAY_ADDRESS"):
            connect()
    assert time.monotonic() - started < 5
