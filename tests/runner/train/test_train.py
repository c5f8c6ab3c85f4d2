"""The steps of a Run and the loop of a worker, in this process and without Ray."""

from dataclasses import replace
from pathlib import Path

import pytest

from runner.code.deciding import OtherCode
from runner.pipeline import task_of
from runner.plan.work import Work
from runner.storage import store
from runner.storage.cloud import Folder
from runner.storage.store import Corrupt

from runner.train.train import epoch_time, train  # isort: skip
from runner.train.workplace import Workplace
from tests.made.training import do


def files(folder: Folder) -> dict[str, bytes]:
    kept = {"model.safetensors", "run.json", "answers.parquet", "robustness.parquet"}
    found = [p for p in folder.rglob("*") if p.name in kept]
    return {f"{p.parent.name}/{p.name}": p.read_bytes() for p in found}


def test_a_worker_stopped_at_any_epoch_leaves_a_run_that_ends_with_the_same_bits(
    place: Workplace, work: Work, tmp_path: Path
):
    run = work.plan.arms["pgd_at"][0]
    do([run], task_of(work, run).steps, place)

    class Stop(BaseException):
        """Not an Exception: nothing may catch it, as nothing catches SIGKILL."""

    def stop(word: str, part: float) -> None:
        if word.startswith("epoch 2"):
            raise Stop

    other = place._replace(store=store.Store(tmp_path / "other"))
    other.store.check_writable()
    with pytest.raises(Stop):
        train(run, other._replace(tell=stop))
    assert (other.store.run(run.id) / "checkpoint.pt").exists()
    assert store.facts(other.store.run(run.id)) is None
    do([run], task_of(work, run).steps, other)
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


def test_corrupt_weights_are_set_aside_and_trained_again_to_the_same_bits(
    place: Workplace, work: Work
):
    run = work.plan.arms["erm"][0]
    do([run], [train], place)
    weights = work.store.run(run.id) / "model.safetensors"
    good = weights.read_bytes()
    store.write(weights, good[:-1] + bytes([good[-1] ^ 1]))
    with pytest.raises(Corrupt, match="checksum"):
        place.trained(run)
    queue = do([run], task_of(work, run).steps, place)
    assert "corrupt-1" in queue.snapshot().notes[0]
    assert weights.read_bytes() == good


def test_a_run_that_was_planned_with_other_source_is_not_trained(place: Workplace, work: Work):
    run = replace(work.plan.arms["erm"][0], code={"defenses/erm.py": "0"})
    with pytest.raises(OtherCode, match=r"defenses/erm\.py: changed since the command began"):
        train(run, place)
    assert not place.store.run(run.id).is_dir()


def test_of_each_phase_the_last_epoch_stands_for_all():
    assert epoch_time([9.0, 2.0, 3.0], (3,)) == 3.0
    assert epoch_time([9.0, 6.0, 2.0, 1.0, 1.5], (2, 3)) * 5 == pytest.approx(2 * 6.0 + 3 * 1.5)
