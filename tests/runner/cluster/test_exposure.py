"""Who can reach a cluster: what is refused, what is said, and what the one started here opens."""

import json
import os
import stat
import subprocess
import sys
from concurrent import futures
from pathlib import Path

import grpc
import pytest

from runner.cluster import _exposure
from runner.cluster._exposure import Exposed, answers_anyone, close_up, keep_token_private, remark

HOUSE = Path(__file__).parents[3]
PUBLIC = ["10.0.0.5", "127.0.0.1", "10.0.0.6"]


def test_nothing_is_said_of_a_cluster_that_asks_for_a_token_or_stays_on_loopback():
    assert remark(PUBLIC, open_to_all=False, environment={}) == ""
    assert remark(["127.0.0.1", "::1", "localhost"], open_to_all=True, environment={}) == ""


def test_a_cluster_without_a_token_beyond_loopback_is_refused_with_both_ways_out():
    with pytest.raises(Exposed) as refused:
        remark(PUBLIC, open_to_all=True, environment={})
    told = str(refused.value)
    assert "10.0.0.5, 10.0.0.6 asks for no token" in told
    assert "127.0.0.1" not in told
    assert "RAY_AUTH_MODE=token" in told
    assert "RUNNER_WITHOUT_TOKEN=1" in told
    with pytest.raises(Exposed, match="node-7"):
        remark(["localhost", "node-7"], open_to_all=True, environment={})
    with pytest.raises(Exposed):  # only 1 accepts
        remark(PUBLIC, open_to_all=True, environment={"RUNNER_WITHOUT_TOKEN": "0"})


def test_who_accepts_a_cluster_without_a_token_is_told_of_it_in_one_line():
    many = [f"10.0.0.{n}" for n in range(1, 9)]
    told = remark(many, open_to_all=True, environment={"RUNNER_WITHOUT_TOKEN": "1"})
    assert told.startswith("the Ray cluster at 10.0.0.1, 10.0.0.2, 10.0.0.3 and 5 more asks for no")
    assert "\n" not in told


def test_a_token_is_made_readable_for_its_owner_alone_and_never_replaced(tmp_path: Path):
    environment = {"RAY_AUTH_MODE": "disabled"}
    close_up(environment, tmp_path)
    token = tmp_path / ".ray" / "auth_token"
    made = token.read_text()
    assert len(bytes.fromhex(made)) == 32
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    assert "RAY_AUTH_MODE" not in environment
    token.chmod(0o644)
    close_up(environment, tmp_path)
    assert token.read_text() == made
    assert stat.S_IMODE(token.stat().st_mode) == 0o600


@pytest.mark.parametrize("key", ["RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"])
def test_a_token_that_is_given_otherwise_needs_no_file(key: str, tmp_path: Path):
    environment = {key: "elsewhere"}
    close_up(environment, tmp_path)
    keep_token_private(tmp_path)
    assert environment[key] == "elsewhere"
    assert not (tmp_path / ".ray").exists()


@pytest.mark.parametrize("status", [None, grpc.StatusCode.UNAUTHENTICATED])
def test_a_service_is_open_when_it_answers_a_call_that_brings_no_token(status):
    """A real server on loopback in the place of Ray's; the last test asks Ray itself."""
    asked = []

    def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
        asked.append(dict(context.invocation_metadata()))
        if status:
            context.abort(status, "no token")
        return b""

    service, method = "ray.rpc.NodeInfoGcsService", "CheckAlive"
    handlers = {method: grpc.unary_unary_rpc_method_handler(answer)}
    server = grpc.server(futures.ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        assert answers_anyone(f"127.0.0.1:{port}") == (status is None)
    finally:
        server.stop(None).wait()
    assert len(asked) == 1
    assert "authorization" not in asked[0]


def test_who_cannot_be_reached_answers_not_anyone(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(_exposure, "PROBE_S", 1.0)
    assert not answers_anyone("127.0.0.1:1")


LISTENING = """
import json, os, stat
from pathlib import Path
import psutil
import ray
from runner.cluster import connect
from runner.cluster._exposure import answers_anyone

connect.connect()

@ray.remote
def mode():
    return os.environ.get("RAY_AUTH_MODE")

modes = [os.environ.get("RAY_AUTH_MODE"), ray.get(mode.remote())]
here = psutil.Process()
started = here.children(recursive=True)
found = [
    (process.name(), connection.laddr.ip)
    for process in [here, *started]
    for connection in process.net_connections("inet")
    if connection.status == "LISTEN"
]
at = ray.get_runtime_context().gcs_address
token = stat.S_IMODE((Path.home() / ".ray/auth_token").stat().st_mode)
lines = [" ".join(process.cmdline()) for process in started]
print(json.dumps([modes, found, at, answers_anyone(at), token, lines]))
"""


@pytest.mark.ray
@pytest.mark.slow
def test_the_cluster_that_is_started_here_listens_on_loopback_alone_and_asks_for_a_token(
    tmp_path: Path,
):
    plain = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
    home = {"HOME": str(tmp_path), "RAY_AUTH_MODE": "disabled", "PYTHONPATH": str(HOUSE)}
    done = subprocess.run(
        [sys.executable, "-c", LISTENING],
        env=plain | home,
        capture_output=True,
        text=True,
        timeout=120,
        cwd=HOUSE,
    )
    assert done.returncode == 0, done.stderr
    modes, listening, at, open_to_all, token, lines = json.loads(done.stdout.splitlines()[-1])
    assert modes == ["token", "token"]
    assert len(listening) >= 8
    beyond = [each for each in listening if each[1].removeprefix("::ffff:") != "127.0.0.1"]
    assert beyond == []
    assert at.startswith("127.0.0.1:")
    assert open_to_all is False
    assert token == 0o600
    assert any("raylet" in line for line in lines)
    helpers = ("dashboard.py", "monitor.py", "log_monitor.py")
    assert not [line for line in lines if any(name in line for name in helpers)], "see _bare.py"
