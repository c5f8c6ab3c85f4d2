"""The steps of a Run and the loop of a worker, in this process and without Ray."""

import json
from functools import partial
from pathlib import Path

import pytest

from runner import store
from runner.answers import ask
from runner.experiment import Experiment
from runner.pipeline import Work
from runner.plan import Run
from runner.queue import RunQueue
from runner.robustness import attack_all
from runner.store import Corrupt

from runner.train import Step, train, work as work_on  # isort: skip
from runner.workplace import Workplace


def do(runs: list[Run], steps: list[Step], place: Workplace) -> RunQueue:
    """Let one worker do the Runs; return its queue."""
    queue = RunQueue([run.id for run in runs])

    def call(method: str, *arguments: object) -> object:
        return getattr(queue, method)(*arguments)

    place = place._replace(note=queue.note)
    work_on(lambda: queue.claim("l/0"), call, "l/0", {r.id: r for r in runs}, steps, place)
    return queue


def files(folder: Path) -> dict[str, bytes]:
    kept = {"model.safetensors", "run.json", "answers.parquet", "robustness.parquet"}
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.name in kept}


def steps_of(experiment: Experiment) -> list[Step]:
    return [
        train,
        partial(ask, answers=experiment.answers),
        partial(attack_all, robustness=experiment.robustness, draws=experiment.answers.draws),
    ]


def test_a_worker_trains_asks_and_attacks_every_run(place: Workplace, work: Work):
    runs = work.plan.runs[:4]
    queue = do(runs, steps_of(work.experiment), place)
    assert queue.snapshot().done == 4
    assert all(work.is_done(run) for run in runs)
    facts = store.facts(work.store.run(runs[0].id))
    assert facts is not None
    assert facts["train_time_s"] > 0
    lines = (work.store.run(runs[0].id) / "epochs.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [0, 1]
    assert list(work.store.run(runs[0].id).glob("events.out.tfevents.*"))


def test_doing_it_again_does_nothing(place: Workplace, work: Work):
    runs = work.plan.runs[:2]
    do(runs, steps_of(work.experiment), place)
    before = {p: p.stat().st_mtime_ns for p in work.store.root.rglob("*")}
    do(runs, steps_of(work.experiment), place)
    assert before == {p: p.stat().st_mtime_ns for p in work.store.root.rglob("*")}


def test_a_worker_stopped_at_any_epoch_leaves_a_run_that_ends_with_the_same_bits(
    place: Workplace, work: Work, tmp_path: Path
):
    run = work.plan.arms["pgd_at"][0]
    do([run], steps_of(work.experiment), place)

    class Stop(BaseException):
        """Not an Exception: nothing may catch it, as nothing catches SIGKILL."""

    def stop(word: str, part: float) -> None:
        if word.startswith("epoch 2"):
            raise Stop

    other = place._replace(store=store.Store(tmp_path / "other"))
    with pytest.raises(Stop):
        train(run, other._replace(tell=stop))
    assert (other.store.run(run.id) / "checkpoint.pt").exists()
    assert store.facts(other.store.run(run.id)) is None
    do([run], steps_of(work.experiment), other)
    assert files(other.store.run(run.id)) == files(work.store.run(run.id))
    assert not (other.store.run(run.id) / "checkpoint.pt").exists()


def test_a_checkpoint_that_cannot_be_read_is_set_aside_and_named(place: Workplace, work: Work):
    run = work.plan.arms["erm"][0]
    path = work.store.run(run.id) / "checkpoint.pt"
    store.write(path, b"PK\x03\x04 truncated")
    queue = do([run], [train], place)
    assert "checkpoint.pt" in queue.snapshot().notes[0]
    assert path.with_name("checkpoint.pt.corrupt").exists()
    assert work.is_trained(run)


def test_a_run_that_raises_is_reported_and_the_next_one_is_done(place: Workplace, work: Work):
    from dataclasses import replace

    good = work.plan.arms["erm"][0]
    bad = replace(good, training=good.training.model_copy(update={"lr": 1e20}))
    queue = do([bad, good], [train], place)
    state = queue.snapshot()
    assert state.done == 1
    assert "lower training.lr" in state.failed[bad.id]
    assert not work.is_trained(bad)


def test_a_full_disk_stops_the_queue_with_the_reason(place: Workplace, work: Work):
    import errno

    def full(run: Run, place: Workplace) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    state = do(work.plan.runs[:3], [full], place).snapshot()
    assert len(state.failed) == 1
    assert "No space left" in state.stopped


def test_corrupt_weights_are_set_aside_and_trained_again_to_the_same_bits(
    place: Workplace, work: Work
):
    run = work.plan.arms["erm"][0]
    do([run], [train], place)
    weights = work.store.run(run.id) / "model.safetensors"
    good = weights.read_bytes()
    weights.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    with pytest.raises(Corrupt, match="checksum"):
        place.trained(run)
    queue = do([run], steps_of(work.experiment), place)
    assert "corrupt-1" in queue.snapshot().notes[0]
    assert weights.read_bytes() == good
