"""Answers and predictions under attack, one file a model."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from runner.storage.answers import (
    Answered,
    answers_to_bytes,
    num_blocks,
    read_answers,
    read_block,
    read_robustness,
    read_views,
    robustness_to_bytes,
)
from runner.storage.parquet import BLOCK
from runner.storage.store import Corrupt


def answers(num_examples: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels (N,), log-odds (N, 3) and logits (N, 10)."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, num_examples)
    return labels, rng.normal(size=(num_examples, 3)), rng.normal(size=(num_examples, 10))


def write_answers(path: Path, num_examples: int) -> bytes:
    labels, log_odds, logits = answers(num_examples)
    said = Answered(log_odds, logits)
    content = answers_to_bytes(labels, said, ["plain", "flip", "shift"])
    path.write_bytes(content)
    return content


@pytest.mark.parametrize("num_examples", [5, BLOCK, BLOCK + 1])
def test_answers_are_read_as_they_were_written(tmp_path: Path, num_examples: int):
    path = str(tmp_path / "answers.parquet")
    write_answers(tmp_path / "answers.parquet", num_examples)
    labels, log_odds, logits = answers(num_examples)
    assert read_views(path) == ("plain", "flip", "shift")
    np.testing.assert_array_equal(read_answers(path, "label"), labels)
    np.testing.assert_array_equal(read_answers(path, "logits"), logits.astype(np.float32))
    numbers = range(num_blocks(path))
    blocks = [read_block(path, block, "log_odds") for block in numbers]
    examples, of_labels, of_blocks = (np.concatenate(c) for c in zip(*blocks, strict=True))
    np.testing.assert_array_equal(examples, np.arange(num_examples))
    np.testing.assert_array_equal(of_labels, labels)
    np.testing.assert_array_equal(of_blocks, log_odds.astype(np.float32))
    assert all(len(block.example) <= BLOCK for block in blocks)
    assert of_blocks.dtype == np.float32


def test_the_same_answers_are_the_same_bytes(tmp_path: Path):
    assert write_answers(tmp_path / "a", 100) == write_answers(tmp_path / "b", 100)


def test_every_view_is_named():
    with pytest.raises(ValueError, match="2 names of views"):
        answers_to_bytes(np.zeros(4), Answered(np.zeros((4, 3))), ["plain", "flip"])


def test_the_answers_of_the_mean_over_draws_lie_beside_those_of_one(tmp_path: Path):
    path, (labels, log_odds, logits) = tmp_path / "answers.parquet", answers(BLOCK + 1)
    views, mean = ["plain", "flip", "shift"], (log_odds + 7, logits - 7)
    given = Answered(log_odds, logits), views, Answered(*mean)
    path.write_bytes(answers_to_bytes(labels, *given))
    expected = {"log_odds": log_odds, "logits": logits}
    expected |= {"log_odds_mean": mean[0], "logits_mean": mean[1]}
    for column, values in expected.items():
        read = read_answers(str(path), column)
        assert read.dtype == np.float32
        np.testing.assert_array_equal(read, values.astype(np.float32))
        last = read_block(str(path), 1, column)
        assert (last.example.tolist(), last.label.tolist()) == ([BLOCK], [labels[BLOCK]])
        np.testing.assert_array_equal(last.answers, values[BLOCK:].astype(np.float32))


def test_answers_of_one_draw_have_no_columns_of_a_mean_and_say_so_when_asked(tmp_path: Path):
    path = tmp_path / "answers.parquet"
    write_answers(path, 5)
    assert pq.read_schema(path).names == ["example", "label", "log_odds", "logits"]
    with pytest.raises(Corrupt, match="column logits_mean should be float, is None"):
        read_answers(str(path), "logits_mean")


def test_robustness_has_the_predictions_of_the_mean_only_where_there_are_any(tmp_path: Path):
    numbers, path = np.arange(3), tmp_path / "robustness.parquet"
    path.write_bytes(robustness_to_bytes(numbers, numbers + 1, numbers + 2))
    once = {"example": [0, 1, 2], "label": [1, 2, 3], "prediction": [2, 3, 4]}
    assert pq.read_table(path).to_pydict() == once
    path.write_bytes(robustness_to_bytes(numbers, numbers + 1, numbers + 2, numbers + 3))
    assert pq.read_table(path).to_pydict() == once | {"prediction_mean": [3, 4, 5]}


@pytest.mark.parametrize("draws", [1, 3])
def test_robustness_is_read_as_it_was_written(tmp_path: Path, draws: int):
    columns = np.random.default_rng(0).integers(0, 10, (4, BLOCK + 1))
    given = [*columns[:3], columns[3] if draws > 1 else None]
    (tmp_path / "robustness.parquet").write_bytes(robustness_to_bytes(*given))
    found = read_robustness(str(tmp_path / "robustness.parquet"))
    for read, written in zip(found, given, strict=True):
        np.testing.assert_array_equal(read, written)


def test_whatever_byte_of_robustness_is_changed_it_is_corrupt_or_says_the_same(tmp_path: Path):
    written, path = np.arange(40).reshape(4, 10), tmp_path / "robustness.parquet"
    content = robustness_to_bytes(*written)
    num_corrupt = 0
    for at in range(0, len(content), 7):
        path.write_bytes(content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :])
        try:
            found = read_robustness(str(path))
        except Corrupt:
            num_corrupt += 1
            continue
        np.testing.assert_array_equal(found[:3], written[:3])
        if found.mean is not None:  # else the name of its column was changed
            np.testing.assert_array_equal(found.mean, written[3])
    assert num_corrupt > len(content) / 7 / 2


@pytest.mark.parametrize("kept", [0, 3, 100, -1])
def test_a_truncated_file_is_corrupt_and_named(tmp_path: Path, kept: int):
    path = tmp_path / "answers.parquet"
    path.write_bytes(write_answers(path, 100)[:kept])
    readers = (num_blocks, read_views)
    for read in (*readers, lambda path: read_block(path, 0, "log_odds")):
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
        read_block(str(path), 0, "log_odds")


def test_another_schema_is_corrupt(tmp_path: Path):
    path = str(tmp_path / "answers.parquet")
    floats = pa.array(np.zeros((4, 2)).tolist(), pa.list_(pa.float64(), 2))
    pq.write_table(pa.table({"example": pa.array(range(4), pa.int32()), "log_odds": floats}), path)
    readers = (
        lambda: read_block(path, 0, "log_odds"),
        lambda: read_answers(path, "label"),
    )
    for read in readers:
        with pytest.raises(Corrupt, match="should be"):
            read()


def test_a_block_beyond_the_last_is_corrupt(tmp_path: Path):
    write_answers(tmp_path / "answers.parquet", 10)
    with pytest.raises(Corrupt, match="block 1 was asked of 1"):
        read_block(str(tmp_path / "answers.parquet"), 1, "log_odds")


def test_a_missing_file_is_not_corrupt(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        num_blocks(str(tmp_path / "answers.parquet"))
