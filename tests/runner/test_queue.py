from runner.queue import MAX_REPAIRS, RunQueue


def test_each_run_is_handed_out_once_and_in_order():
    queue = RunQueue(["a", "b", "c"])
    assert [queue.claim("l/0"), queue.claim("l/1")] == ["a", "b"]
    queue.finish("l/0", "a")
    assert queue.claim("l/0") == "c"
    queue.finish("l/1", "b")
    queue.finish("l/0", "c")
    assert queue.claim("l/1") is None
    assert queue.snapshot().done == 3


def test_a_worker_that_was_torn_down_gets_its_run_again_as_often_as_that_happens():
    queue = RunQueue(["a"])
    assert [queue.claim("l/0") for _ in range(9)] == ["a"] * 9
    assert not queue.snapshot().failed


def test_a_run_that_kills_its_worker_twice_is_given_up():
    queue = RunQueue(["a", "b"])
    assert queue.claim("l/0") == "a"
    queue.blame("l/0")
    assert "its worker died; tried again" in queue.snapshot().notes[0]
    assert queue.claim("l/0") == "a"
    queue.blame("l/0")
    assert queue.claim("l/0") == "b"
    assert list(queue.snapshot().failed) == ["a"]


def test_innocent_runs_of_the_same_lane_are_never_given_up():
    """Every eighth Run kills its process, which takes the whole lane of eight workers down."""
    queue = RunQueue([f"{'killer' if n % 8 == 3 else 'innocent'}-{n}" for n in range(64)])
    workers = [f"l/{rank}" for rank in range(8)]
    for _ in range(200):
        held = {worker: queue.claim(worker) for worker in workers}
        killers = [w for w, run_id in held.items() if (run_id or "").startswith("killer")]
        if killers:
            queue.blame(killers[0])  # the first to die; all others are torn down
            continue
        for worker, run_id in held.items():
            if run_id:
                queue.finish(worker, run_id)
    state = queue.snapshot()
    assert len(state.failed) == 8
    assert all(run_id.startswith("killer") for run_id in state.failed)
    assert state.done == 56


def test_blaming_a_worker_that_holds_nothing_changes_nothing():
    queue = RunQueue(["a"])
    queue.blame("l/0")
    assert queue.claim("l/0") == "a"
    assert queue.snapshot().notes == ["l/0: the worker died between two Runs"]


def test_a_run_with_corrupt_files_is_handed_out_again_but_not_for_ever():
    queue = RunQueue(["a", "b"])
    for n in range(MAX_REPAIRS + 1):
        assert queue.claim("l/0") == "a"
        queue.repair("l/0", "a", f"set aside {n}")
    assert queue.claim("l/0") == "b"
    assert "check the disk" in queue.snapshot().failed["a"]


def test_releasing_a_lane_leaves_other_lanes_alone():
    queue = RunQueue(["a", "b"])
    queue.claim("one/0")
    queue.claim("two/0")
    queue.release("one")
    assert set(queue.snapshot().working) == {"two/0"}
    assert queue.snapshot().waiting == 1


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
