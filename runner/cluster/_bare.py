"""A cluster of this machine alone, without the helpers of Ray that nobody asks anything here."""

import contextlib
from collections.abc import Iterator
from typing import Any

from ray._private import node, utils


@contextlib.contextmanager
def bare() -> Iterator[None]:
    """Have clusters that are started meanwhile be bare: a third of their processes' start-up less.

    What Ray calls otherwise one day is started as ever.
    """
    rays_own = node.Node, utils.get_dashboard_dependency_error
    node.Node, utils.get_dashboard_dependency_error = _BareNode, _nothing_for_a_dashboard
    try:
        yield
    finally:
        node.Node, utils.get_dashboard_dependency_error = rays_own


class _BareNode(node.Node):
    """Without a dashboard's server, which Ray starts also where none is asked for and waits for;
    without who scales a cluster, here of one node, and who sends a driver what workers print, which
    ours does not want."""

    def start_api_server(self, **asked: Any) -> None: ...

    def start_monitor(self) -> None: ...

    def start_log_monitor(self) -> None: ...


def _nothing_for_a_dashboard() -> ImportError:
    """What Ray is told where `ray[default]` is not installed: its agent then starts no server."""
    return ImportError("no dashboard is asked for")
