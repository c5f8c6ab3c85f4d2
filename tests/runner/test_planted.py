"""Whoever may write to the storage can plant pickles there: they run no code, and are named."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from runner.audit.judged import Judged, read_judged, write_judged
from runner.faults import BadAnswers
from runner.foreign.members import read_member
from runner.plan.work import Work
from runner.storage import store
from runner.storage.answers import num_blocks, read_block
from runner.storage.scores import Reading
from runner.storage.store import Corrupt
from runner.train.train import train
from runner.train.workplace import Workplace
from tests.made.planted import Trap, trap
from tests.made.training import do


def torch_trap(sprung: Path) -> bytes:
    """A file in PyTorch's own format whose pickle is a trap."""
    content = io.BytesIO()
    torch.save({"epoch": 0, "model": Trap(sprung)}, content)
    torch.load(io.BytesIO(content.getvalue()), weights_only=False)
    assert sprung.exists()
    sprung.unlink()
    return content.getvalue()


def objects(sprung: Path) -> bytes:
    """An npz archive with every field of what was judged, as a trap each."""
    content = io.BytesIO()
    given = np.array([Trap(sprung)], object)
    fields: dict[str, Any] = dict.fromkeys((*Judged._fields, "member"), given)
    np.savez(content, **fields)
    return content.getvalue()


@pytest.mark.parametrize("make", [trap, torch_trap])
def test_a_planted_checkpoint_is_set_aside_unopened_and_training_starts_over(
    make, place: Workplace, work: Work, tmp_path: Path
):
    run = work.plan.arms["erm"][0]
    path = work.store.run(run.id) / "checkpoint.pt"
    store.write_sealed(path, make(tmp_path / "sprung"))  # who plants it can seal it too
    told = do([run], [train], place).snapshot()
    assert not (tmp_path / "sprung").exists()
    assert told.failed == {}
    assert "checkpoint.pt" in told.notes[0]
    assert "training starts over" in told.notes[0]
    assert path.with_name("checkpoint.pt.corrupt").exists()
    assert work.is_trained(run)


@pytest.mark.parametrize("make", [trap, torch_trap])
def test_planted_weights_are_refused_unopened(make, place: Workplace, work: Work, tmp_path: Path):
    run = work.plan.arms["erm"][0]
    do([run], [train], place)
    folder = work.store.run(run.id)
    store.write(folder / "model.safetensors", make(tmp_path / "sprung"))
    store.finish(folder, ["model.safetensors", "epochs.jsonl", "run.json"], {"train_time_s": 1.0})
    with pytest.raises(Corrupt, match=r"model\.safetensors"):
        place.trained(run)
    assert not (tmp_path / "sprung").exists()


def test_planted_answers_are_refused_unopened(tmp_path: Path):
    path = tmp_path / "answers.parquet"
    path.write_bytes(trap(tmp_path / "sprung"))
    with pytest.raises(Corrupt, match=r"answers\.parquet"):
        read_block(str(path), 0, "log_odds")
    with pytest.raises(Corrupt, match=r"answers\.parquet"):
        num_blocks(str(path))
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("make", [trap, objects])
def test_planted_judgements_are_refused_unopened(make, tmp_path: Path):
    reading = Reading("erm", 1, "lira", "member")
    name = write_judged(tmp_path, reading, {})
    (tmp_path / name).write_bytes(make(tmp_path / "sprung"))
    store.finish(tmp_path, [name], {})
    with pytest.raises(Corrupt, match="lira"):
        read_judged(tmp_path, reading)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("name", ["member.npy", "member.npz"])
def test_a_planted_member_matrix_is_refused_unopened(name: str, tmp_path: Path):
    path = tmp_path / name
    content = {"member.npy": trap, "member.npz": objects}[name](tmp_path / "sprung")
    path.write_bytes(content)
    with pytest.raises(BadAnswers, match="pickled files can run code"):
        read_member(str(path))
    assert not (tmp_path / "sprung").exists()
