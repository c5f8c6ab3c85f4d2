"""A whole experiment with its storage on S3: the same bits as in a folder."""

import json
from pathlib import Path
from typing import Any

import pytest

from runner import pipeline
from runner.driver._page import Watch
from runner.experiment.experiment import Experiment
from runner.plan.work import Work, prepare
from runner.storage import store
from runner.storage.cloud import CloudPath, Folder, folder_at
from runner.train.workplace import Workplace
from tests.conftest import TINY, do_here, place_of
from tests.made import commands
from tests.made.report import small_results

pytestmark = pytest.mark.slow

SMALL = {**TINY, "arms": {"pgd_at": TINY["arms"]["pgd_at"]}}


def done(storage: Folder | str) -> Work:
    """SMALL from end to end in this process, without Ray."""
    work = do_here(prepare(Experiment.model_validate(SMALL), storage))
    pipeline.report(work, {"trained": len(work.plan.runs), "reused": 0})
    return work


def do(work: Work, place: Workplace, run: Any) -> None:
    for step in pipeline.task_of(work, run).steps:
        step(run, place)


def figures(folder: Folder) -> dict[str, Any]:
    return commands.figures(json.loads((folder / "results.json").read_bytes()))


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Work:
    return done(tmp_path_factory.mktemp("local"))


def files(storage: Folder) -> dict[str, Folder]:
    """All files but TensorBoard's, by their name in the storage."""
    found = [path for path in storage.rglob("*") if path.is_file() and "tfevents" not in path.name]
    return {str(path.relative_to(storage)): path for path in found}  # pyright: ignore[reportArgumentType]


def test_an_experiment_on_s3_has_the_files_and_the_bits_of_a_local_one(local: Work, s3: str):
    work = done(s3)
    assert isinstance(work.store.root, CloudPath)
    ours, theirs = files(work.store.root), files(local.store.root)
    assert ours.keys() == theirs.keys()
    assert figures(work.folder) == figures(local.folder)
    same = (".safetensors", ".parquet", ".npz", ".csv", "run.json")
    compared = [name for name in ours if name.endswith(same)]
    assert len(compared) > 4 * len(work.plan.runs)
    for name in compared:
        if "report" not in name and "judged" not in name:
            assert ours[name].read_bytes() == theirs[name].read_bytes(), name
    assert b"<svg" in (work.folder / "report" / "index.html").read_bytes()
    for run in work.plan.runs:
        boards = [path.name for path in work.store.run(run.id).glob("events.out.tfevents.*")]
        assert len(boards) == 1
    assert not [name for name in ours if "checkpoint" in name or "part-" in name]


def test_a_run_on_s3_goes_on_from_its_checkpoint_to_the_same_bits(local: Work, s3: str):
    work = prepare(Experiment.model_validate(SMALL), s3)
    run, folder = work.plan.runs[0], work.store.run(work.plan.runs[0].id)

    def told(word: str, part: float) -> None:
        if word.startswith("epoch 2/"):
            raise ConnectionError("stopped in its second epoch")

    with pytest.raises(ConnectionError):
        do(work, place_of(work)._replace(tell=told), run)
    assert store.facts(folder) is None
    assert store.read_sealed(folder / "checkpoint.pt")
    assert len([*folder.glob("events.out.tfevents.*")]) == 1
    notes = []
    do(work, place_of(work)._replace(note=notes.append), run)
    assert notes == []
    weights = local.store.run(run.id) / "model.safetensors"
    assert store.read(folder, "model.safetensors") == weights.read_bytes()
    assert not (folder / "checkpoint.pt").exists()


def test_a_damaged_checkpoint_on_s3_is_set_aside_and_said(s3: str):
    work = prepare(Experiment.model_validate(SMALL), s3)
    run, notes = work.plan.runs[0], []
    path = work.store.run(run.id) / "checkpoint.pt"
    store.write(path, b"half of it")
    do(work, place_of(work)._replace(note=notes.append), run)
    assert "checksum" in notes[0]
    assert path.with_name("checkpoint.pt.corrupt").read_bytes() == b"half of it"
    assert work.is_done(run)


def test_a_damaged_outcome_on_s3_is_found_set_aside_and_made_again(s3: str):
    work = prepare(Experiment.model_validate(SMALL), s3)
    run, place = work.plan.runs[0], place_of(work)
    do(work, place, run)
    answers = work.asked(run)[0] / "answers.parquet"
    content = answers.read_bytes()
    store.write(answers, content[:-1])
    with pytest.raises(store.Corrupt) as corrupt:
        work.is_done(run)
    aside = store.set_aside(corrupt.value.path)
    assert aside == answers.parent.with_name(f"{answers.parent.name}.corrupt-1")
    assert work.is_trained(run)
    assert not work.is_done(run)
    do(work, place, run)
    assert answers.read_bytes() == content


@pytest.mark.ray("commands")
@pytest.mark.usefixtures("local_ray")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Ray's own, of its own parts
def test_the_command_on_s3_with_workers_finds_what_one_process_finds_in_a_folder(
    local: Work, s3: str, tmp_path: Path
):
    code, out = commands.here("run", tmp_path, SMALL, "--storage", s3)
    assert code == 0, out
    folder = folder_at(s3) / "experiments" / "tiny"
    assert figures(folder) == figures(local.folder)
    assert f"report: {folder / 'report' / 'index.html'}" in out
    assert (folder / "experiment.json").is_file()
    code, out = commands.here("run", tmp_path, SMALL, "--storage", s3)
    assert code == 0, out
    runs = json.loads((folder / "results.json").read_bytes())["runs"]
    assert (runs["trained"], runs["reused"]) == (0, len(local.plan.runs))


def test_the_page_to_watch_reads_a_bucket_and_writes_nothing_there(s3: str):
    root = folder_at(s3)
    store.write(root / "audits" / "given" / store.RESULTS, json.dumps(small_results()).encode())
    there = {name: path.stat().st_mtime_ns for name, path in files(root).items()}
    page = Watch(store.Store(root), ["given"], 5.0).page()
    assert "AUC" in page
    assert "cannot be read" not in page
    assert {name: path.stat().st_mtime_ns for name, path in files(root).items()} == there
