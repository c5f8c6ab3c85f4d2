"""Who can reach the Ray cluster of a run: its token, its addresses, and what is said of them."""

import ipaddress
import os
import secrets
from collections.abc import Iterable, Mapping, MutableMapping
from pathlib import Path

import grpc

from runner.faults import UserFault

WITHOUT_TOKEN = "RUNNER_WITHOUT_TOKEN"
ANSWERED_TO_ALL = "/ray.rpc.NodeInfoGcsService/CheckAlive"  # a call that changes nothing
PROBE_S = 10.0


class Exposed(UserFault):
    """The cluster listens beyond loopback, asks nobody for a token, and nobody accepted that."""


def close_up(environment: MutableMapping[str, str], home: Path) -> None:
    """Make the cluster that is about to be started here ask for a token, and stay on loopback.

    Of what the environment says only where the token is stays: `RAY_AUTH_MODE=disabled` is for
    clusters that one joins.
    """
    environment.pop("RAY_AUTH_MODE", None)  # Ray sets it to token when it starts a cluster
    if not environment.get("RAY_AUTH_TOKEN") and not environment.get("RAY_AUTH_TOKEN_PATH"):
        keep_token_private(home, make=True)


def keep_token_private(home: Path, make: bool = False) -> None:
    """Take the token file away from everybody else: Ray writes it readable for all.

    Args:
        make: write a token where there is none, so that it is never readable for others.
    """
    token = home / ".ray" / "auth_token"
    if token.exists():
        token.chmod(0o600)
    elif make:
        token.parent.mkdir(parents=True, exist_ok=True)
        opened = os.open(token, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(opened, "w") as file:
            file.write(secrets.token_hex(32))


def answers_anyone(address: str) -> bool:
    """Return whether a cluster's control service at host:port answers who brings no token.

    One that is not reached this way, such as behind TLS, answers not anyone.
    """
    with grpc.insecure_channel(address, [("grpc.enable_http_proxy", 0)]) as channel:
        try:
            channel.unary_unary(ANSWERED_TO_ALL)(b"", timeout=PROBE_S)
        except grpc.RpcError:
            return False
    return True


def remark(addresses: Iterable[str], open_to_all: bool, environment: Mapping[str, str]) -> str:
    """Return what is to be said of a cluster before it is used, or nothing.

    Where RAY_ADDRESS points says little: a head started at 127.0.0.1 listens on all addresses of
    its host. What counts is what nodes call themselves.

    Args:
        addresses: of the nodes, as Ray lists them.
        open_to_all: `answers_anyone`.

    Raises:
        Exposed: anyone who reaches a node could run code there.
    """
    beyond = sorted({address for address in addresses if not _is_loopback(address)})
    if not beyond or not open_to_all:
        return ""
    some = ", ".join(beyond[:3]) + (f" and {len(beyond) - 3} more" if len(beyond) > 3 else "")
    told = f"the Ray cluster at {some} asks for no token: who reaches it can run code there"
    if environment.get(WITHOUT_TOKEN) == "1":
        return f"{told} ({WITHOUT_TOKEN}=1 accepts that)"
    raise Exposed(
        f"{told}; start it with RAY_AUTH_MODE=token on every node and here (docs/cluster.md), or, "
        f"where the network lets in nobody else, set {WITHOUT_TOKEN}=1"
    )


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:  # a host's name
        return address == "localhost"
