"""A cluster that `plan` is asked about: its nodes, their price, and how fast they are."""

from typing import Any, NamedTuple

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from attacks.by_name import Keys
from runner.cluster.sites import refuse, sites
from runner.experiment import config
from runner.experiment.config import ConfigError, Fault
from runner.experiment.fleet import Fleet


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
        anywhere: dict[str, Any] = {"accelerator": None, "label_selector": {}}
        if self.of.packing:
            anywhere["num_gpus"] = 1 / self.of.packing
        fleet = fleet.model_copy(update=anywhere)
        has = {"CPU": self.of.cpus, "GPU": self.of.gpus}
        nodes = [
            {"NodeID": str(number), "Alive": True, "Resources": has}
            for number in range(self.of.nodes)
        ]
        found = sites(nodes, fleet)
        if not found:
            raise ConfigError(self.source, [Fault("nodes", str(refuse(nodes[:1], fleet)))])
        return sum(site.workers for site in found) // fleet.workers_per_run


def read_cluster(name: str) -> NamedCluster:
    """Return the cluster of a YAML file, or of a shipped name.

    Raises:
        ConfigError: there is no such file, or every fault of it at once.
    """
    path = config.locate(name, "cluster/clusters")
    found = config.load(path, [], NodesOfOneKind)
    return NamedCluster(path.stem, str(path), found)
