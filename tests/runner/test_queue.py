from runner.queue import WAIT, RunQueue


def test_each_run_is_handed_out_once_and_in_order():
    queue = RunQueue(["a", "b", "c"])
    assert [queue.claim("l/0"), queue.claim("l/1")] == ["a", "b"]
    queue.finish("l/0", "a")
    assert queue.claim("l/0") == "c"
    queue.finish("l/1", "b")
    queue.finish("l/0", "c")
    assert queue.claim("l/1") is None
    assert queue.snapshot().done == 3


def test_a_worker_that_claims_again_has_died_and_its_run_is_tried_again():
    queue = RunQueue(["a"])
    assert queue.claim("l/0") == "a"
    assert queue.claim("l/0") == "a"
    assert "died" in queue.snapshot().notes[0]


def test_a_run_that_kills_its_worker_twice_is_given_up():
    queue = RunQueue(["a", "b"])
    assert [queue.claim("l/0") for _ in range(4)] == ["a", "b", "a", "b"]
    queue.finish("l/0", "b")
    state = queue.snapshot()
    assert list(state.failed) == ["a"]
    assert state.done == 1


def test_an_innocent_run_is_not_dragged_along_twice():
    """The killer `k` takes the whole lane of two workers down each time."""
    queue = RunQueue(["k", "i", "j"])
    killed = []
    for _ in range(20):
        held = {w: queue.claim(w) for w in ("l/0", "l/1")}
        if "k" in held.values():
            killed.append(held)
            queue.release("l")
            continue
        for worker, run_id in held.items():
            if run_id not in (None, WAIT):
                queue.finish(worker, run_id)
    state = queue.snapshot()
    assert list(state.failed) == ["k"]
    assert state.done == 2
    assert len(killed) == 2


def test_while_only_suspects_wait_the_other_worker_is_told_to_ask_again():
    queue = RunQueue(["a", "b"])
    queue.claim("l/0")
    queue.claim("l/1")
    queue.release("l")
    assert queue.claim("l/0") == "a"
    assert queue.claim("l/1") == WAIT
    queue.finish("l/0", "a")
    assert queue.claim("l/1") == "b"


def test_releasing_a_lane_leaves_other_lanes_alone():
    queue = RunQueue(["a", "b"])
    queue.claim("one/0")
    queue.claim("two/0")
    queue.release("one")
    assert set(queue.snapshot().working) == {"two/0"}


def test_a_failure_that_all_would_share_stops_the_queue():
    queue = RunQueue(["a", "b"])
    queue.claim("l/0")
    queue.fail("l/0", "a", "no space left on device", everywhere=True)
    assert queue.claim("l/0") is None
    assert queue.snapshot().stopped == "no space left on device"


def test_a_word_counts_only_for_the_run_in_work():
    queue = RunQueue(["a"])
    queue.tell("l/0", "late", 0.5)
    queue.claim("l/0")
    queue.tell("l/0", "epoch 1/2", 0.5)
    assert queue.snapshot().working["l/0"] == ("a", "epoch 1/2", 0.5)
