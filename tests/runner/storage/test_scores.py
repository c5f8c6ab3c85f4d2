"""Scores and members, filed as the audit files them."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from runner.storage.scores import (
    OF_TARGETS,
    PARTITIONS,
    Reading,
    members_to_bytes,
    read_scores,
    read_targets,
    scores_table,
    target_table,
)
from runner.storage.store import Corrupt

ODD = Reading("trades/6 é", 1, "lira=a%2F", "member")  # names that a folder could not have


def test_members_are_read_as_they_were_written(tmp_path: Path):
    member = np.random.default_rng(1).integers(-1, 2, (1001, 7))
    (tmp_path / "member.parquet").write_bytes(members_to_bytes(member))
    read = np.stack(pq.read_table(tmp_path / "member.parquet").columns)
    assert read.dtype == np.int8
    np.testing.assert_array_equal(read, member)


def write_scores(folder: Path, examples: np.ndarray, scores: np.ndarray, reading: Reading = ODD):
    """File rows of scores of all models as targets, as the audit does, in two files."""
    for half, part in enumerate((slice(None, 3), slice(3, None))):
        pq.write_to_dataset(
            scores_table(reading, examples[part], scores[:, part]),
            folder / "blocks",
            partition_cols=PARTITIONS,
            basename_template=f"{half}-{{i}}.parquet",
        )


def write_targets(folder: Path, scores: np.ndarray, reading: Reading = ODD) -> None:
    """File the scores of one model as target at a time, as the audit does."""
    for m, row in enumerate(scores):
        pq.write_to_dataset(
            target_table(reading, m, row),
            folder / "targets",
            partition_cols=OF_TARGETS,
            basename_template=f"{m}-{{i}}.parquet",
        )


def test_scores_of_blocks_come_back_by_example(tmp_path: Path):
    examples = np.array([6, 5, 4, 3, 0, 1, 2], np.int32)
    scores = np.arange(14.0).reshape(2, 7)
    write_scores(tmp_path, examples, scores)
    for m in range(2):
        read = read_scores(tmp_path, ODD, m)
        np.testing.assert_array_equal(read[examples], scores[m])


def test_scores_of_targets_come_back_by_model(tmp_path: Path):
    scores = np.random.default_rng(0).normal(size=(3, 7)).astype(np.float32)
    write_targets(tmp_path, scores)
    for m in range(3):
        read = read_scores(tmp_path, ODD, m)
        assert read.dtype == np.float32
        np.testing.assert_array_equal(read, scores[m])


@pytest.mark.parametrize("kind", ["blocks", "targets"])
def test_several_targets_are_read_at_once_in_the_order_asked_for(tmp_path: Path, kind: str):
    scores = np.random.default_rng(0).normal(size=(4, 7)).astype(np.float32)
    if kind == "blocks":
        write_scores(tmp_path, np.arange(7, dtype=np.int32), scores)
    else:
        write_targets(tmp_path, scores)
    read = read_targets(tmp_path, ODD, [3, 0, 2])
    np.testing.assert_array_equal(read, scores[[3, 0, 2]])


def test_each_reading_has_scores_of_its_own_whichever_way_they_were_made(tmp_path: Path):
    readings = [
        ODD._replace(**{field: value})
        for field, value in [("arm", "b"), ("draws", 10), ("attack", "c"), ("matrix", "null")]
    ]
    write_scores(tmp_path, np.arange(7, dtype=np.int32), np.full((2, 7), -1.0))
    for number, reading in enumerate(readings):
        write_targets(tmp_path, np.full((2, 7), float(number)), reading)
    assert set(read_scores(tmp_path, ODD, 1)) == {-1}
    for number, reading in enumerate(readings):
        assert set(read_scores(tmp_path, reading, 1)) == {number}


def test_scores_with_a_missing_or_doubled_example_are_corrupt(tmp_path: Path):
    for name, examples in {
        "missing": [0, 1, 2, 3, 5],
        "doubled": [0, 1, 2, 3, 3],
        "odd": [0, 1, 2, 3, -1],
    }.items():
        write_scores(tmp_path / name, np.array(examples, np.int32), np.zeros((1, 5)))
        with pytest.raises(Corrupt, match="missing, or are there twice"):
            read_scores(tmp_path / name, ODD, 0)


@pytest.mark.parametrize("kind", ["blocks", "targets"])
def test_a_damaged_file_of_scores_condemns_their_folder(tmp_path: Path, kind: str):
    if kind == "blocks":
        write_scores(tmp_path, np.arange(5, dtype=np.int32), np.zeros((2, 5)))
    else:
        write_targets(tmp_path, np.zeros((2, 5)))
    broken = sorted(tmp_path.rglob("*.parquet"))[1]
    broken.write_bytes(broken.read_bytes()[:-9])
    with pytest.raises(Corrupt) as corrupt:
        read_scores(tmp_path, ODD, 1)
    assert corrupt.value.path == str(tmp_path)
    assert str(broken) in str(corrupt.value)


def test_scores_that_were_never_written_are_not_found(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="run the audit first"):
        read_scores(tmp_path, ODD, 0)
    write_targets(tmp_path, np.zeros((1, 5)))
    with pytest.raises(FileNotFoundError, match="run the audit first"):
        read_scores(tmp_path, ODD, 1)
