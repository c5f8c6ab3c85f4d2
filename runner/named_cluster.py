"""A cluster that `plan` is asked about: its nodes, their price, and how fast they are."""

from typing import NamedTuple

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from attacks.by_name import Keys
from runner import config
from runner.config import ConfigError, Fault
from runner.experiment import Fleet
from runner.room import room


class NodesOfOneKind(Keys):
    """One YAML under configs/cluster/clusters/, or the user's own."""

    nodes: PositiveInt
    cpus: PositiveInt  # of each node, as Ray counts them
    gpus: NonNegativeInt = 0  # of each node
    speed: PositiveFloat  # how many times faster a step is than where its times were measured
    measured_on: str = ""  # a part of that device's name; times of other devices are left out
    packing: PositiveInt | None = None  # Runs on one GPU at once, in place of `fleet.num_gpus`
    price_per_node_hour: NonNegativeFloat | None = None
    currency: str = "USD"
    start_s: NonNegativeFloat = 20.0  # from the command to the first Run of every lane


class NamedCluster(NamedTuple):
    """A cluster, and what it is called."""

    name: str
    source: str  # its file
    of: NodesOfOneKind

    def runs_at_once(self, fleet: Fleet) -> int:
        """Return how many Runs the cluster trains at a time.

        Raises:
            ConfigError: no node has room for one.
        """
        if self.of.packing:
            fleet = fleet.model_copy(update={"num_gpus": 1 / self.of.packing})
        workers = self.of.nodes * room(self.of.cpus, self.of.gpus, fleet)
        if not workers:
            why = (
                f"a Run needs {fleet.workers_per_run} workers on one node, each with "
                f"{fleet.num_cpus} CPUs and {fleet.num_gpus:g} GPUs, and a node here has "
                f"{self.of.cpus} and {self.of.gpus}; lower fleet.num_cpus, fleet.num_gpus or "
                "fleet.workers_per_run"
            )
            raise ConfigError(self.source, [Fault("nodes", why)])
        return workers // fleet.workers_per_run


def read_cluster(name: str) -> NamedCluster:
    """Return the cluster of a YAML file, or of a shipped name.

    Raises:
        ConfigError: there is no such file, or every fault of it at once.
    """
    path = config.locate(name, "cluster/clusters")
    found = config.load(path, [], NodesOfOneKind)
    return NamedCluster(path.stem, str(path), found)
