"""Lanes over a real cluster: two nodes and a killing Run; a fleet that is open to clients."""

import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

psutil = pytest.importorskip("psutil")
ray = pytest.importorskip("ray", reason="machines that only train have no Ray")

from runner.cluster import sites  # noqa: E402
from runner.driver.snapshot import Snapshot  # noqa: E402
from runner.experiment.experiment import Experiment  # noqa: E402
from runner.fleet import fleet  # noqa: E402
from runner.fleet.queue import MAX_DEATHS, Outcome, Task  # noqa: E402
from runner.pipeline import task_of  # noqa: E402
from runner.plan.work import Work, prepare  # noqa: E402
from runner.storage import store  # noqa: E402
from runner.train.train import train  # noqa: E402
from tests.conftest import TINY  # noqa: E402
from tests.made.commands import wait_for  # noqa: E402
from tests.made.killer import hang_number_2, kill_number_1, wait_for_go  # noqa: E402
from tests.made.nodes import Nodes  # noqa: E402

pytestmark = [
    pytest.mark.ray("nodes"),
    pytest.mark.slow,
    pytest.mark.campaign,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # Ray's own, of its own parts
]


@pytest.fixture
def two_cpus(nodes: Nodes) -> None:
    """One node, of two CPUs."""
    nodes.want(2)


def lane_of(state: Snapshot) -> set[str]:
    return {worker.split("/")[0] for worker in state.working}


def test_each_node_gets_a_lane_and_runs_that_kill_or_hang_are_given_up_alone(
    nodes: Nodes, tmp_path: Path
):
    nodes.want(1, 1)
    data = {**TINY, "arms": {"erm": TINY["arms"]["erm"]}, "fleet": {"hang_after_s": 5}}
    work = prepare(Experiment.model_validate(data), tmp_path / "storage")
    lanes: set[str] = set()
    runs = work.plan.runs
    tasks = [Task(run, [kill_number_1, hang_number_2, train]) for run in runs]
    end = fleet.train_all(
        tasks,
        work.dataset,
        work.experiment.fleet,
        work.store,
        lambda state: lanes.update(lane_of(state)),
    )
    assert len(lanes) >= 2, end
    bad = {run.id for run in runs if run.number in (1, 2)}
    assert set(end.failed) == bad, end
    assert all("died 2 times" in reason for reason in end.failed.values())
    hung = [note for note in end.notes if "m002" in note]
    assert len(hung) == MAX_DEATHS, hung
    silent = [re.search(r"(\d+) s after its last word, 'starts'$", note) for note in hung]
    assert all(found and int(found[1]) >= 5 for found in silent), hung
    assert end.done == len(runs) - len(bad)
    assert all(work.is_trained(run) for run in runs if run.id not in bad)


def test_a_node_that_joins_gets_a_lane_and_one_that_is_lost_gives_its_runs_back(
    nodes: Nodes, tmp_path: Path
):
    (first,) = nodes.want(1)
    work = prepare(Experiment.model_validate(TINY), tmp_path / "storage")
    tasks = [Task(run, [wait_for_go, train]) for run in work.plan.runs]
    states: list[Snapshot] = []
    given = tasks, work.dataset, work.experiment.fleet, work.store, states.append
    with ThreadPoolExecutor(1) as pool:  # nodes are added in the main thread: Ray sets signals
        ending = pool.submit(fleet.train_all, *given)
        wait_for(lambda: bool(states) and len(lane_of(states[-1])) == 1)
        nodes.join(1)
        wait_for(lambda: len(lane_of(states[-1])) == 2)
        nodes.remove_node(first, allow_graceful=False)
        store.write(work.store.root / "go", b"")
        end = ending.result(timeout=200)
    assert not end.failed
    assert end.done == len(work.plan.runs)
    assert all(work.is_trained(run) for run in work.plan.runs)
    assert any("its node was lost" in note for note in end.notes), end.notes
    assert not any("its worker died" in note for note in end.notes), "a Run was blamed for it"


def test_a_killed_controller_gives_back_its_runs_and_its_node(nodes: Nodes, tmp_path: Path):
    (node,) = nodes.want(1)
    work = prepare(Experiment.model_validate(TINY), tmp_path / "storage")
    tasks = [Task(run, [wait_for_go, train]) for run in work.plan.runs]
    states: list[Snapshot] = []
    given = tasks, work.dataset, work.experiment.fleet, work.store, states.append
    with ThreadPoolExecutor(1) as pool:
        ending = pool.submit(fleet.train_all, *given)
        wait_for(lambda: bool(states) and len(lane_of(states[-1])) == 1)
        kill_controller(nodes)
        store.write(work.store.root / "go", b"")
        end = ending.result(timeout=100)
    assert node in nodes.worker_nodes
    assert end.done == len(work.plan.runs)
    assert any("ActorDiedError" in note for note in end.notes), end.notes
    assert not any("its worker died" in note for note in end.notes), "a Run was blamed for it"


def kill_controller(nodes: Nodes) -> None:
    """SIGKILL, as when the machine is out of memory; it works on the driver's node, the head."""
    assert nodes.head_node is not None
    raylet = psutil.Process(nodes.head_node.all_processes["raylet"][0].process.pid)
    titles = {"".join(one.cmdline()): one for one in raylet.children()}
    [controller] = [titles[title] for title in titles if title.startswith("ray::LaneController")]
    controller.kill()


def test_workers_of_a_run_that_fits_no_node_work_together_across_nodes(
    nodes: Nodes, tmp_path: Path
):
    nodes.want(1, 1)
    network = {"name": "resnet8", "width": 4, "norm": "group"}
    data = {**TINY, "model": network, "fleet": {"workers_per_run": 2}}
    work = prepare(Experiment.model_validate(data), tmp_path / "storage")
    runs = work.plan.runs[:3]
    end = fleet.train_all(
        [Task(run, [train]) for run in runs],
        work.dataset,
        work.experiment.fleet,
        work.store,
        lambda state: None,
    )
    assert end.done == 3, end
    assert all(work.is_trained(run) for run in runs)


@ray.remote(num_cpus=2, max_retries=0)
def take_all_cpus() -> None:
    time.sleep(600)


@ray.remote(num_cpus=0)
def add_and_wait(queue: Any, tasks: list[Task]) -> Outcome:
    """What a trial does: it has no CPU, and the handle of the queue."""
    tickets = ray.get(queue.add.remote(tasks))
    while (outcome := ray.get(queue.outcome.remote(tickets))).left:
        time.sleep(0.1)
    return outcome


@pytest.mark.usefixtures("two_cpus")
def test_an_opened_fleet_serves_clients_with_lanes_that_start_once_and_wait(work: Work):
    experiment, runs = work.experiment, work.plan.runs
    states: list[Snapshot] = []
    times = [time.monotonic()]
    with fleet.open_fleet(work.dataset, experiment.fleet, work.store, states.append) as queue:
        first = [Task(run, [train]) for run in runs[:4]]
        assert ray.get(add_and_wait.remote(queue, first)) == Outcome(4, {}, 0)
        times.append(time.monotonic())
        time.sleep(3)  # both workers have nothing to do
        idle: Snapshot = ray.get(queue.snapshot.remote())
        assert (idle.total, idle.working, idle.closed) == (4, {}, False)
        times.append(time.monotonic())
        both = [
            add_and_wait.remote(queue, [task_of(work, run) for run in portion])
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


@pytest.mark.usefixtures("two_cpus")
def test_lanes_that_never_end_a_run_stop_the_queue_and_tell_who_waits(
    work: Work, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", "2")
    others = take_all_cpus.remote()
    wait_for(lambda: not ray.available_resources().get("CPU"))
    with fleet.open_fleet(
        work.dataset, work.experiment.fleet, work.store, lambda state: None
    ) as queue:
        runs = work.plan.runs[:2]
        outcome = ray.get(add_and_wait.remote(queue, [Task(run, [train]) for run in runs]))
    ray.cancel(others, force=True)
    wait_for(lambda: ray.available_resources().get("CPU") == 2)
    assert set(outcome.failed) == {run.id for run in runs}
    reasons = {*outcome.failed.values()}
    assert len(reasons) == 1
    assert re.match(r"3 starts in a row ended no Run; lane-.* ended: ControllerError", *reasons)


@pytest.mark.usefixtures("two_cpus")
def test_an_interruption_while_the_fleet_is_open_is_raised_at_once(work: Work):
    opened = fleet.open_fleet(work.dataset, work.experiment.fleet, work.store, lambda state: None)
    queue = opened.__enter__()
    ray.get(queue.add.remote([Task(run, [train]) for run in work.plan.runs]))
    started = time.monotonic()
    assert not opened.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert time.monotonic() - started < 1
    assert ray.get(queue.snapshot.remote()).stopped
    for thread in threading.enumerate():  # what is abandoned must end before Ray is shut down
        if thread.name.startswith("lane"):
            thread.join()


@pytest.mark.usefixtures("two_cpus")
def test_a_fleet_without_room_is_refused_before_anything_starts(work: Work):
    big = work.experiment.fleet.model_copy(update={"num_cpus": 64})
    threads = threading.active_count()
    with (
        pytest.raises(sites.NoRoom, match="64 CPUs"),
        fleet.open_fleet(work.dataset, big, work.store, lambda state: None),
    ):
        raise AssertionError("never entered")
    assert threading.active_count() == threads
