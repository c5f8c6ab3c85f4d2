"""What an experiment takes of a disk, held against what it really left there."""

from pathlib import Path

import pytest

from runner import pipeline
from runner.forecast.disk import ALLOCATED, checkpoint_bytes, disk_bytes
from runner.plan.work import Work
from runner.storage import store
from runner.train.train import train
from tests.conftest import do_here, place_of


def used(folder: Path) -> int:
    """What a file system of 4096-byte blocks gives out for a folder and all that is in it."""
    files = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    folders = sum(path.is_dir() for path in folder.rglob("*"))
    return sum(max(-(-size // ALLOCATED), 1) for size in files) * ALLOCATED + folders * ALLOCATED


@pytest.mark.slow
@pytest.mark.parametrize("made", ["work", "noisy_work"])
def test_all_that_is_written_is_foreseen_and_not_twice_that(
    made: str, request: pytest.FixtureRequest
):
    work: Work = request.getfixturevalue(made)
    pipeline.describe(work)
    do_here(work)
    pipeline.report(work, {"trained": len(work.plan.runs), "reused": 0})
    there = used(Path(str(work.store.root)))
    assert there <= disk_bytes(work) <= 2 * there


def test_runs_that_are_done_are_not_counted_again(work: Work):
    nothing, all_of_them = disk_bytes(work, []), disk_bytes(work)
    half = disk_bytes(work, work.plan.runs[: len(work.plan.runs) // 2])
    assert 0 < nothing < half < all_of_them == disk_bytes(work, work.plan.runs)


def test_a_run_in_work_holds_its_last_checkpoint_and_the_next(
    work: Work, monkeypatch: pytest.MonkeyPatch
):
    sizes = []

    def written(path: Path, content: bytes) -> None:
        sizes.append(len(content))

    monkeypatch.setattr(store, "write_sealed", written)
    train(work.plan.runs[0], place_of(work))
    assert len(sizes) == 1
    assert sizes[0] < checkpoint_bytes(work) < 4 * sizes[0]
