import pickle
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from runner.driver.snapshot import Counts
from runner.fleet.queue import MAX_DEATHS, MAX_REPAIRS, Outcome, RunQueue, Task
from runner.plan.work import Work
from runner.train.train import train


def tasks(*run_ids: str, steps: Any = ()) -> list[Task]:
    """Tasks of Runs of which only the id matters."""
    runs: list[Any] = [SimpleNamespace(id=run_id) for run_id in run_ids]
    return [Task(run, steps) for run in runs]


def closed(*run_ids: str) -> RunQueue:
    """A queue to which nothing more will be added."""
    queue = RunQueue()
    queue.add(tasks(*run_ids))
    queue.close()
    return queue


def claim(queue: RunQueue, worker: str) -> str | None:
    """The id of the Run that a worker is given, or what it is given instead."""
    task = queue.claim(worker)
    return task.run.id if isinstance(task, Task) else task


def test_each_run_is_handed_out_once_and_in_order():
    queue = closed("a", "b", "c")
    assert [claim(queue, "l/0"), claim(queue, "l/1")] == ["a", "b"]
    queue.finish("l/0")
    assert claim(queue, "l/0") == "c"
    queue.finish("l/1")
    queue.finish("l/0")
    assert claim(queue, "l/1") is None
    assert queue.snapshot().done == 3


def test_lanes_count_from_their_first_question_until_they_are_released():
    queue = closed("a", "b", "c")
    assert queue.snapshot().lanes == 0
    for worker in ("l/0", "l/1", "m/0"):
        claim(queue, worker)
    assert queue.snapshot().lanes == 2
    queue.release("l")
    assert claim(queue, "l/0") is None
    assert queue.snapshot().lanes == 1


def test_a_worker_that_was_torn_down_gets_its_run_again_as_often_as_that_happens():
    queue = closed("a")
    assert [claim(queue, "l/0") for _ in range(9)] == ["a"] * 9
    assert not queue.snapshot().failed


def test_a_run_that_kills_its_worker_twice_is_given_up():
    queue = closed("a", "b")
    assert claim(queue, "l/0") == "a"
    queue.blame("l/0")
    assert "a: its worker died 0 s after its last word, 'starts'" in queue.snapshot().notes[0]
    assert claim(queue, "l/0") == "a"
    queue.blame("l/0")
    assert claim(queue, "l/0") == "b"
    assert list(queue.snapshot().failed) == ["a"]


def test_innocent_runs_of_the_same_lane_are_never_given_up():
    """Every eighth Run kills its process, which takes the whole lane of eight workers down."""
    queue = closed(*(f"{'killer' if n % 8 == 3 else 'innocent'}-{n}" for n in range(64)))
    workers = [f"l/{rank}" for rank in range(8)]
    for _ in range(200):
        held = {worker: claim(queue, worker) for worker in workers}
        killers = [w for w, run_id in held.items() if (run_id or "").startswith("killer")]
        if killers:
            queue.blame(killers[0])  # the first to die; all others are torn down
            continue
        for worker, run_id in held.items():
            if run_id:
                queue.finish(worker)
    state = queue.snapshot()
    assert len(state.failed) == 8
    assert all(run_id.startswith("killer") for run_id in state.failed)
    assert state.done == 56
    assert state.ended == state.total == 64


def test_blaming_a_worker_that_holds_nothing_changes_nothing():
    queue = closed("a")
    queue.blame("l/0")
    assert claim(queue, "l/0") == "a"
    assert queue.snapshot().notes == ["l/0: the worker died between two Runs"]


def test_a_run_with_corrupt_files_is_handed_out_again_but_not_for_ever():
    queue = closed("a", "b")
    for n in range(MAX_REPAIRS + 1):
        assert claim(queue, "l/0") == "a"
        queue.repair("l/0", f"set aside {n}")
    assert claim(queue, "l/0") == "b"
    assert "check the disk" in queue.snapshot().failed["a"]
    assert queue.snapshot().notes == [f"set aside {n}" for n in range(MAX_REPAIRS + 1)]


def test_releasing_a_lane_leaves_other_lanes_alone():
    queue = closed("a", "b")
    claim(queue, "one/0")
    claim(queue, "two/0")
    queue.release("one")
    assert set(queue.snapshot().working) == {"two/0"}
    assert queue.snapshot().waiting == 1


def test_a_task_that_is_put_back_keeps_its_turn():
    queue = closed("a", "b", "c", "d")
    claim(queue, "one/0")
    claim(queue, "two/0")
    claim(queue, "one/1")
    queue.release("two")
    queue.release("one")
    assert [claim(queue, f"l/{rank}") for rank in range(4)] == ["a", "b", "c", "d"]


def test_a_failure_that_all_would_share_stops_the_queue():
    queue = RunQueue()
    tickets = queue.add(tasks("a", "b", "c", "d"))
    claim(queue, "l/0")
    queue.finish("l/0")
    claim(queue, "l/1")
    claim(queue, "l/0")
    queue.fail("l/0", "no space left on device", everywhere=True)
    queue.stop("a later reason")
    assert claim(queue, "l/0") is None
    assert queue.snapshot().stopped == "no space left on device"
    reasons = dict.fromkeys("bcd", "no space left on device")
    assert queue.outcome(tickets) == Outcome(1, reasons, 0)
    assert queue.outcome(queue.add(tasks("e"))).failed == {"e": "no space left on device"}


def test_a_word_counts_only_for_the_run_in_work():
    queue = closed("a")
    queue.tell("l/0", "late", 0.5)
    claim(queue, "l/0")
    queue.tell("l/0", "epoch 1/2", 0.5)
    assert queue.snapshot().working["l/0"][:4] == ("a", "epoch 1/2", 0.5, 0)


def test_an_open_queue_lets_workers_wait_and_a_closed_one_sends_them_away():
    queue = RunQueue()
    assert claim(queue, "l/0") == "wait"
    assert queue.snapshot().since_first_claim_s == 0
    queue.add(tasks("a"))
    assert claim(queue, "l/0") == "a"
    queue.finish("l/0")
    assert claim(queue, "l/0") == "wait"
    queue.close()
    assert claim(queue, "l/0") is None
    with pytest.raises(AssertionError, match="closed"):
        queue.add(tasks("b"))


def test_tickets_are_in_order_and_tell_what_became_of_each():
    queue = RunQueue()
    mine, yours = queue.add(tasks("a", "b")), queue.add(tasks("c"))
    assert mine + yours == [0, 1, 2]
    assert queue.outcome(mine) == Outcome(0, {}, 2)
    claim(queue, "l/0")
    queue.finish("l/0")
    claim(queue, "l/0")
    assert queue.outcome(mine) == Outcome(1, {}, 1)
    queue.fail("l/0", "the loss is not finite")
    assert queue.outcome(mine) == Outcome(1, {"b": "the loss is not finite"}, 0)
    assert queue.outcome(yours) == Outcome(0, {}, 1)


def test_a_run_that_is_added_twice_is_never_in_the_hands_of_two_workers():
    queue = RunQueue()
    first = queue.add(tasks("a", steps=["train"]))
    second = queue.add(tasks("a", "b", steps=["train", "ask"]))
    task = queue.claim("l/0")
    assert isinstance(task, Task)
    assert task.steps == ["train"]
    assert claim(queue, "l/1") == "b"  # passes over the Run that is held
    queue.close()
    assert claim(queue, "l/2") == "wait"  # its holder may yet leave it to others
    queue.finish("l/0")
    task = queue.claim("l/2")
    assert isinstance(task, Task)
    assert (task.run.id, task.steps) == ("a", ["train", "ask"])
    assert claim(queue, "l/0") is None
    queue.finish("l/1")
    queue.finish("l/2")
    assert queue.outcome(first + second) == Outcome(3, {}, 0)
    assert queue.snapshot().total == queue.snapshot().done == 3


def test_people_are_told_of_runs_and_what_a_run_is_added_for_again_costs_nothing():
    queue = RunQueue()
    queue.add(tasks("a", "b"))
    assert queue.snapshot().counts == Counts(2, 0, 2)
    assert claim(queue, "l/0") == "a"
    queue.add(tasks("a", "b", "c"))  # of another setting, which shares two of its Runs
    state = queue.snapshot()
    assert (state.total, state.counts, state.cost) == (5, Counts(3, 0, 2), 3.0)
    queue.finish("l/0")
    assert queue.snapshot().counts == Counts(3, 0, 3), "a is still to be asked something"
    for run_id in ("b", "a", "b", "c"):
        assert claim(queue, "l/0") == run_id
        queue.finish("l/0")
    state = queue.snapshot()
    assert (state.done, state.counts, state.cost_ended) == (5, Counts(3, 3, 0), 3.0)


def test_a_run_that_failed_and_was_done_after_all_has_not_failed():
    queue = RunQueue()
    queue.add(tasks("a", "b"))
    claim(queue, "l/0")
    queue.fail("l/0", "odd")
    assert queue.snapshot().failed == {"a": "odd"}
    assert queue.snapshot().counts == Counts(2, 0, 1)
    queue.add(tasks("a"))
    assert queue.snapshot().counts == Counts(2, 0, 2)
    for _ in "ab":
        claim(queue, "l/0")
        queue.finish("l/0")
    assert queue.snapshot().failed == {}
    assert queue.snapshot().counts == Counts(2, 2, 0)


def test_a_run_that_failed_gets_a_fresh_chance_when_it_is_added_again():
    queue = RunQueue()
    first = queue.add(tasks("a"))
    for _ in range(MAX_REPAIRS + 1):
        claim(queue, "l/0")
        queue.repair("l/0", "set aside")
    second = queue.add(tasks("a"))
    claim(queue, "l/0")
    queue.repair("l/0", "set aside")
    assert claim(queue, "l/0") == "a"
    queue.finish("l/0")
    assert list(queue.outcome(first).failed) == ["a"]
    assert queue.outcome(second) == Outcome(1, {}, 0)


def test_a_killer_is_refused_at_once_whoever_adds_it_whenever():
    queue = RunQueue()
    tickets = queue.add(tasks("killer", "killer", "good"))
    for _ in range(MAX_DEATHS):
        assert claim(queue, "l/0") == "killer"
        queue.blame("l/0")
    later = queue.add(tasks("killer"))
    for outcome in (queue.outcome(tickets[:2]), queue.outcome(later)):
        assert outcome == Outcome(0, {"killer": "its worker died 2 times; not tried again"}, 0)
    assert claim(queue, "l/0") == "good"
    assert queue.snapshot().ended == 3


def test_what_a_worker_says_of_a_task_that_was_taken_from_it_changes_nothing():
    queue = closed("a")
    claim(queue, "l/0")
    queue.blame("l/0")
    queue.finish("l/0")
    queue.fail("l/0", "late")
    queue.repair("l/0", "set aside late")
    assert queue.snapshot()[:4] == (1, 0, {}, {})
    assert claim(queue, "l/0") == "a"


def test_a_released_lane_tells_what_ended_in_it_and_is_given_nothing_more():
    queue = closed("a", "b", "c", "d", "e")
    assert [claim(queue, f"l/{rank}") for rank in range(4)] == ["a", "b", "c", "d"]
    queue.finish("l/0")
    queue.fail("l/1", "it cannot")
    queue.blame("l/2", "out of memory")
    assert queue.release("l") == 3
    assert claim(queue, "l/3") is None
    assert [claim(queue, f"m/{rank}") for rank in range(4)] == ["c", "d", "e", None]
    assert queue.release("m") == 0
    assert "(out of memory)" in queue.snapshot().notes[0]


def test_who_tells_hears_whether_to_leave():
    queue = closed("a")
    claim(queue, "l/0")
    assert not queue.tell("l/0", "epoch 1/9", 0.1)
    queue.stop("the driver was stopped")
    assert queue.tell("l/0", "epoch 2/9", 0.2)


HANDS_OUT = """
import pickle, sys
from runner.fleet.queue import RunQueue
queue = RunQueue()
queue.add(pickle.load(sys.stdin.buffer))
queue.close()
given = [queue.claim("l/0"), queue.claim("l/1"), queue.claim("l/2")]
sys.stdout.buffer.write(pickle.dumps([given, "torch" in sys.modules]))
"""


def test_a_task_passes_through_the_queue_as_it_is_and_without_torch(work: Work):
    sent = [Task(run, [train], 1.0 + i) for i, run in enumerate(work.plan.runs[:2])]
    command = [sys.executable, "-c", HANDS_OUT]
    done = subprocess.run(command, input=pickle.dumps(sent), capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    (*given, nothing), torch_too = pickle.loads(done.stdout)
    assert nothing is None
    assert not torch_too
    for before, after in zip(sent, reversed(given), strict=True):  # the heaviest first
        assert (after.run_id, after.cost) == (before.run.id, before.cost)
        assert after.run.recipe() == before.run.recipe()
        assert after.steps == [train]
