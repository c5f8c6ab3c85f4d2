"""A Ray cluster of several nodes on this machine, which come and go as tests want them."""

from typing import Any

from ray.cluster_utils import Cluster


class Nodes(Cluster):
    """A head without CPUs, and the worker nodes that the test at hand wants."""

    def __init__(self) -> None:
        self._num_cpus: dict[Any, int] = {}
        super().__init__(
            initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False}
        )

    def want(self, *num_cpus: int) -> list[Any]:
        """Have worker nodes of so many CPUs each, and no others; return them in that order.

        Nodes that an earlier test wanted are kept: starting one takes seconds.
        """
        there = [*self.worker_nodes]
        found = []
        for wanted in num_cpus:
            fitting = [node for node in there if self._num_cpus[node] == wanted]
            if fitting:
                there.remove(fitting[0])
            found.append(fitting[0] if fitting else None)
        for node in there:
            self.remove_node(node)
        return [node or self.join(wanted) for node, wanted in zip(found, num_cpus, strict=True)]

    def join(self, num_cpus: int) -> Any:
        """Return a new worker node of so many CPUs."""
        node = self.add_node(num_cpus=num_cpus)
        self._num_cpus[node] = num_cpus
        return node
