"""Lanes over a real cluster of two nodes, and a Run that kills whoever works on it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

ray = pytest.importorskip("ray", reason="machines that only train have no Ray")

from ray.cluster_utils import Cluster  # noqa: E402

from runner import fleet  # noqa: E402
from runner.experiment import Experiment  # noqa: E402
from runner.pipeline import prepare  # noqa: E402
from runner.queue import Snapshot  # noqa: E402
from runner.train import train  # noqa: E402
from tests.conftest import TINY  # noqa: E402
from tests.killer import kill_number_1  # noqa: E402

pytestmark = [
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # Ray's own, of its own parts
]


@pytest.fixture
def two_nodes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A head without CPUs and two nodes with one each."""
    for name, value in fleet.ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False}
    )
    cluster.add_node(num_cpus=1)
    cluster.add_node(num_cpus=1)
    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()
    cluster.shutdown()


@pytest.mark.usefixtures("two_nodes")
def test_each_node_gets_a_lane_and_a_killing_run_is_given_up_alone(tmp_path: Path):
    experiment = Experiment.model_validate(TINY)
    work = prepare(experiment, tmp_path / "storage")
    lanes, states = set(), []

    def watch(state: Snapshot) -> None:
        lanes.update(worker.split("/")[0] for worker in state.working)
        states.append(state)

    runs = work.plan.runs
    end = fleet.train_all(
        runs, [kill_number_1, train], work.dataset, experiment.fleet, work.store, watch
    )
    assert len(lanes) >= 2, end
    killers = {run.id for run in runs if run.number == 1}
    assert set(end.failed) == killers
    assert all("died 2 times" in reason for reason in end.failed.values())
    assert end.done == len(runs) - len(killers)
    assert all(work.is_trained(run) for run in runs if run.id not in killers)
