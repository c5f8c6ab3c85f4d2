from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from runner import tables
from runner.store import Corrupt
from runner.tables import BLOCK


def answers(num_examples: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels (N,), log-odds (N, 3) and logits (N, 10)."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, num_examples)
    return labels, rng.normal(size=(num_examples, 3)), rng.normal(size=(num_examples, 10))


def write_answers(path: Path, num_examples: int) -> bytes:
    content = tables.answers_to_bytes(*answers(num_examples), ["plain", "flip", "shift"])
    path.write_bytes(content)
    return content


@pytest.mark.parametrize("num_examples", [5, BLOCK, BLOCK + 1])
def test_answers_are_read_as_they_were_written(tmp_path: Path, num_examples: int):
    path = str(tmp_path / "answers.parquet")
    write_answers(tmp_path / "answers.parquet", num_examples)
    labels, log_odds, logits = answers(num_examples)
    assert tables.read_views(path) == ("plain", "flip", "shift")
    np.testing.assert_array_equal(tables.read_answers(path, "label"), labels)
    np.testing.assert_array_equal(tables.read_answers(path, "logits"), logits.astype(np.float32))
    blocks = [tables.read_block(path, block) for block in range(tables.num_blocks(path))]
    examples, of_blocks = (np.concatenate(column) for column in zip(*blocks, strict=True))
    np.testing.assert_array_equal(examples, np.arange(num_examples))
    np.testing.assert_array_equal(of_blocks, log_odds.astype(np.float32))
    assert all(len(examples) <= BLOCK for examples, _ in blocks)
    assert of_blocks.dtype == np.float32


def test_the_same_answers_are_the_same_bytes(tmp_path: Path):
    assert write_answers(tmp_path / "a", 100) == write_answers(tmp_path / "b", 100)


def test_every_view_is_named():
    with pytest.raises(ValueError, match="2 names of views"):
        tables.answers_to_bytes(*answers(4), ["plain", "flip"])


def test_members_are_read_as_they_were_written(tmp_path: Path):
    member = np.random.default_rng(1).integers(-1, 2, (1001, 7))
    (tmp_path / "member.parquet").write_bytes(tables.members_to_bytes(member))
    read = tables.read_members(str(tmp_path / "member.parquet"))
    assert read.dtype == np.int8
    np.testing.assert_array_equal(read, member)


def write_scores(folder: Path, examples: np.ndarray, scores: np.ndarray) -> None:
    """File rows of scores as the audit does, in two files."""
    for half, part in enumerate((slice(None, 3), slice(3, None))):
        pq.write_to_dataset(
            tables.scores_table("trades/6 é", "lira", "member", examples[part], scores[:, part]),
            folder,
            partition_cols=tables.PARTITIONS,
            basename_template=f"{half}-{{i}}.parquet",
        )


def test_scores_come_back_by_example(tmp_path: Path):
    examples = np.array([6, 5, 4, 3, 0, 1, 2], np.int32)
    scores = np.arange(14.0).reshape(2, 7)
    write_scores(tmp_path, examples, scores)
    for m in range(2):
        read = tables.read_scores(tmp_path, "trades/6 é", "lira", "member", m)
        np.testing.assert_array_equal(read[examples], scores[m])


def test_scores_with_a_missing_or_doubled_example_are_corrupt(tmp_path: Path):
    for name, examples in {"missing": [0, 1, 2, 3, 5], "doubled": [0, 1, 2, 3, 3]}.items():
        write_scores(tmp_path / name, np.array(examples, np.int32), np.zeros((1, 5)))
        with pytest.raises(Corrupt, match="missing, or are there twice"):
            tables.read_scores(tmp_path / name, "trades/6 é", "lira", "member", 0)


def test_a_damaged_file_of_scores_condemns_their_folder(tmp_path: Path):
    write_scores(tmp_path, np.arange(5, dtype=np.int32), np.zeros((1, 5)))
    broken = sorted(tmp_path.rglob("*.parquet"))[1]
    broken.write_bytes(broken.read_bytes()[:-9])
    with pytest.raises(Corrupt) as corrupt:
        tables.read_scores(tmp_path, "trades/6 é", "lira", "member", 0)
    assert corrupt.value.path == str(tmp_path)
    assert str(broken) in str(corrupt.value)


def test_scores_that_were_never_written_are_not_found(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="run the audit first"):
        tables.read_scores(tmp_path, "erm", "lira", "member", 0)


@pytest.mark.parametrize("kept", [0, 3, 100, -1])
def test_a_truncated_file_is_corrupt_and_named(tmp_path: Path, kept: int):
    path = tmp_path / "answers.parquet"
    path.write_bytes(write_answers(path, 100)[:kept])
    readers = (tables.num_blocks, tables.read_views, tables.read_members)
    for read in (*readers, lambda path: tables.read_block(path, 0)):
        with pytest.raises(Corrupt) as corrupt:
            read(str(path))
        assert corrupt.value.path == str(path)
        assert str(path) in str(corrupt.value)


def test_a_flipped_bit_in_an_answer_is_corrupt(tmp_path: Path):
    path = tmp_path / "answers.parquet"
    content = bytearray(write_answers(path, 100))
    needle = answers(100)[1].astype(np.float32)[50].tobytes()
    content[content.index(needle)] ^= 1
    path.write_bytes(content)
    with pytest.raises(Corrupt):
        tables.read_block(str(path), 0)


def test_another_schema_is_corrupt(tmp_path: Path):
    path = str(tmp_path / "answers.parquet")
    floats = pa.array(np.zeros((4, 2)).tolist(), pa.list_(pa.float64(), 2))
    pq.write_table(pa.table({"example": pa.array(range(4), pa.int32()), "log_odds": floats}), path)
    for read in (lambda: tables.read_block(path, 0), lambda: tables.read_answers(path, "label")):
        with pytest.raises(Corrupt, match="should be"):
            read()
    with pytest.raises(Corrupt, match="column m000 should be int8, is None"):
        tables.read_members(path)


def test_a_block_beyond_the_last_is_corrupt(tmp_path: Path):
    write_answers(tmp_path / "answers.parquet", 10)
    with pytest.raises(Corrupt, match="block 1 was asked of 1"):
        tables.read_block(str(tmp_path / "answers.parquet"), 1)


def test_a_missing_file_is_not_corrupt(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        tables.num_blocks(str(tmp_path / "answers.parquet"))
