"""A real S3 server on this machine: moto's, in a process of its own, which keeps all in memory."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from pyarrow import fs

KEYS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing-secret"}
ALONE = {"AWS_EC2_METADATA_DISABLED": "true"}  # nobody is asked for the role of this machine


@contextmanager
def serving() -> Iterator[str]:
    """Start the server with a bucket called `bucket`, and yield the options of URIs in it."""
    port = free_port()
    os.environ |= KEYS | ALONE
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 60
        while not _answers(port):
            assert server.poll() is None, "the S3 server ended"
            assert time.monotonic() < end, "the S3 server does not answer"
            time.sleep(0.1)
        endpoint = f"127.0.0.1:{port}"
        client = fs.S3FileSystem(
            endpoint_override=endpoint,
            scheme="http",
            region="us-east-1",
            allow_bucket_creation=True,
        )
        client.create_dir("bucket")
        yield f"?endpoint_override={endpoint}&scheme=http&region=us-east-1"
    finally:
        server.kill()
        server.wait()


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
