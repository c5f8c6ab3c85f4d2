"""Lanes over a real cluster: two nodes and a killing Run; a fleet that is open to clients."""

import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

ray = pytest.importorskip("ray", reason="machines that only train have no Ray")

from ray.cluster_utils import Cluster  # noqa: E402

from runner import fleet  # noqa: E402
from runner.experiment import Experiment  # noqa: E402
from runner.queue import Outcome, Snapshot, Task  # noqa: E402
from runner.store import Store  # noqa: E402
from runner.train import train  # noqa: E402
from runner.work import Work, prepare  # noqa: E402
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
    tasks = [Task(run, [kill_number_1, train]) for run in runs]
    end = fleet.train_all(tasks, work.dataset, experiment.fleet, work.store, watch)
    assert len(lanes) >= 2, end
    killers = {run.id for run in runs if run.number == 1}
    assert set(end.failed) == killers
    assert all("died 2 times" in reason for reason in end.failed.values())
    assert end.done == len(runs) - len(killers)
    assert all(work.is_trained(run) for run in runs if run.id not in killers)


@ray.remote(num_cpus=0)
def add_and_wait(queue: Any, tasks: list[Task]) -> Outcome:
    """What a trial does: it has no CPU, and the handle of the queue."""
    tickets = ray.get(queue.add.remote(tasks))
    while (outcome := ray.get(queue.outcome.remote(tickets))).left:
        time.sleep(0.1)
    return outcome


@pytest.mark.usefixtures("local_ray")
def test_an_opened_fleet_serves_clients_with_lanes_that_start_once_and_wait(work: Work):
    experiment, runs = work.experiment, work.plan.runs
    states: list[Snapshot] = []
    times = [time.monotonic()]
    with fleet.opened(work.dataset, experiment.fleet, work.store, states.append) as queue:
        first = [Task(run, [train]) for run in runs[:4]]
        assert ray.get(add_and_wait.remote(queue, first)) == Outcome(4, {}, 0)
        times.append(time.monotonic())
        time.sleep(3)  # both workers have nothing to do
        idle: Snapshot = ray.get(queue.snapshot.remote())
        assert (idle.total, idle.working, idle.closed) == (4, {}, False)
        times.append(time.monotonic())
        both = [
            add_and_wait.remote(queue, [work.task(run) for run in portion])
            for portion in (runs[:5], runs[3:7])
        ]
        assert ray.get(both) == [Outcome(5, {}, 0), Outcome(4, {}, 0)]
        times.append(time.monotonic())
    first_s, _, second_s = (later - earlier for earlier, later in pairwise(times))
    assert second_s < first_s, "the start of a lane was paid again"
    assert time.monotonic() - times[-1] < fleet.LEAVE_S, "the lanes did not leave"
    lanes = {worker.split("/")[0] for state in states for worker in state.working}
    assert len(lanes) == 1, "a lane was started again"
    assert states[-1].done == states[-1].total == 13
    assert not states[-1].notes
    assert all(work.is_done(run) for run in runs[:7])
    with pytest.raises(ray.exceptions.RayActorError):
        ray.get(queue.snapshot.remote())
    assert not [t for t in threading.enumerate() if t.name.startswith(("lane", "watcher"))]


@pytest.mark.usefixtures("local_ray")
def test_lanes_that_never_end_a_run_stop_the_queue_and_tell_who_waits(work: Work):
    beyond = Store(work.store.root / "file")
    Path(str(beyond.root)).write_bytes(b"Ray Train can write nothing below a file")
    with fleet.opened(work.dataset, work.experiment.fleet, beyond, lambda state: None) as queue:
        runs = work.plan.runs[:2]
        outcome = ray.get(add_and_wait.remote(queue, [Task(run, [train]) for run in runs]))
    assert set(outcome.failed) == {run.id for run in runs}
    assert all("3 starts in a row ended no Run; lane-" in why for why in outcome.failed.values())


@pytest.mark.usefixtures("local_ray")
def test_an_interruption_while_the_fleet_is_open_is_raised_at_once(work: Work):
    opened = fleet.opened(work.dataset, work.experiment.fleet, work.store, lambda state: None)
    queue = opened.__enter__()
    ray.get(queue.add.remote([Task(run, [train]) for run in work.plan.runs]))
    started = time.monotonic()
    assert not opened.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert time.monotonic() - started < 1
    assert ray.get(queue.snapshot.remote()).stopped
    for thread in threading.enumerate():  # what is abandoned must end before Ray is shut down
        if thread.name.startswith("lane"):
            thread.join()


@pytest.mark.usefixtures("local_ray")
def test_a_fleet_without_room_is_refused_before_anything_starts(work: Work):
    big = work.experiment.fleet.model_copy(update={"num_cpus": 64})
    threads = threading.active_count()
    with (
        pytest.raises(fleet.NoRoom, match="64 CPUs"),
        fleet.opened(work.dataset, big, work.store, lambda state: None),
    ):
        raise AssertionError("never entered")
    assert threading.active_count() == threads
