import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from attacks.membership import log_odds
from runner.faults import BadAnswers
from runner.foreign.converting import Converted, convert_all
from runner.foreign.listing import listed
from runner.storage.answers import (
    KINDS,
    Answered,
    answers_to_bytes,
    num_blocks,
    read_answers,
    read_views,
)
from runner.storage.parquet import BLOCK
from tests.made.given import C, N, labels_of, logits_of, member_of, to_parquet, write


def convert(folder: Path, to: Path, num_examples: int = N) -> dict[str, list[Converted]]:
    return convert_all(listed(str(folder), "member.npy"), num_examples, to, lambda text: None)


def test_logits_alone_give_every_column_in_the_layout_of_our_own_answers(tmp_path: Path):
    num, rng = BLOCK + 5, np.random.default_rng(0)
    label, logits = rng.integers(0, C, num), rng.normal(0, 9, (num, C)).astype(np.float32)
    (tmp_path / "given").mkdir()
    to_parquet(tmp_path / "given" / "a.parquet", 777, label=label, logits=logits)
    np.savez(tmp_path / "given" / "b.npz", labels=label, logits=logits)
    expected = Answered(
        log_odds=log_odds(logits, label)[:, None],
        logits=logits,
        correct=(logits.argmax(1) == label)[:, None],
    )
    content = answers_to_bytes(label, expected, ["identity"])
    for one in convert(tmp_path / "given", tmp_path / "to", num)["models"]:
        assert Path(one.path).read_bytes() == content
        assert num_blocks(one.path) == 2


@pytest.mark.parametrize("order", [["identity", "flip"], ["flip", "identity"], None])
def test_logits_of_several_views_give_log_odds_of_each_and_the_plain_image_by_name(
    tmp_path: Path, order: list[str] | None
):
    label, logits = labels_of(), np.random.default_rng(0).normal(0, 1, (N, 2, C))
    named: dict[str, Any] = {} if order is None else {"views": np.array(order)}
    (tmp_path / "given").mkdir()
    np.savez(tmp_path / "given" / "a.npz", labels=label, logits=logits, **named)
    views = None if order is None else json.dumps(order)
    to_parquet(tmp_path / "given" / "b.parquet", 7, views, label=label, logits=logits)
    plain = (order or ["identity"]).index("identity")
    for one in convert(tmp_path / "given", tmp_path / "to")["models"]:
        assert one.kind.views == tuple(order or ("view0", "view1"))
        assert read_views(one.path) == one.kind.views
        read = {name: read_answers(one.path, name) for name in KINDS}
        np.testing.assert_array_equal(read["view_logits"], logits.astype(np.float32))
        np.testing.assert_array_equal(read["logits"], logits[:, plain].astype(np.float32))
        np.testing.assert_array_equal(read["correct"], logits.argmax(2) == label[:, None])
        odds = np.stack([log_odds(logits[:, v], label) for v in range(2)], axis=1)
        np.testing.assert_array_equal(read["log_odds"], odds.astype(np.float32))


def test_log_odds_alone_are_enough(tmp_path: Path):
    odds = np.random.default_rng(0).normal(0, 1, N)
    (tmp_path / "given").mkdir()
    np.savez(tmp_path / "given" / "a.npz", label=labels_of(), log_odds=odds)
    to_parquet(tmp_path / "given" / "b.parquet", 9, label=labels_of(), log_odds=odds)
    for one in convert(tmp_path / "given", tmp_path / "to")["models"]:
        assert one.kind == (("identity",), None, ("log_odds",))
        found = read_answers(one.path, "log_odds")
        np.testing.assert_array_equal(found, odds[:, None].astype(np.float32))


def test_our_own_answers_come_out_as_they_were(tmp_path: Path):
    rng, label = np.random.default_rng(0), labels_of()
    logits = rng.normal(0, 1, (N, C)).astype(np.float32)
    own = Answered(
        log_odds=rng.normal(0, 1, (N, 2)).astype(np.float32),
        logits=logits,
        correct=rng.integers(0, 2, (N, 2)).astype(bool),
        view_logits=rng.normal(0, 1, (N, 2, C)).astype(np.float32),
    )
    (tmp_path / "given").mkdir()
    once = answers_to_bytes(label, own, ["flip", "identity"])
    (tmp_path / "given" / "a.parquet").write_bytes(once)
    randomized = answers_to_bytes(label, own, ["flip", "identity"], mean=own)
    (tmp_path / "given" / "b.parquet").write_bytes(randomized)
    plain, drawn = convert(tmp_path / "given", tmp_path / "to")["models"]
    assert Path(plain.path).read_bytes() == Path(drawn.path).read_bytes() == once
    assert not plain.notes
    assert "log_odds_mean" in drawn.notes[0]


def test_what_was_converted_is_not_read_again_unless_it_changed_or_was_damaged(tmp_path: Path):
    write(tmp_path / "given", member_of())
    first = convert(tmp_path / "given", tmp_path / "to")["models"]
    times = [Path(one.path).stat().st_mtime_ns for one in first]
    assert convert(tmp_path / "given", tmp_path / "to")["models"] == first
    assert [Path(one.path).stat().st_mtime_ns for one in first] == times
    write(tmp_path / "other", member_of(), logits=logits_of(member_of())[0])
    (tmp_path / "other" / "model_07.npz").replace(tmp_path / "given" / "model_07.npz")
    Path(first[2].path).write_bytes(b"damaged")
    second = convert(tmp_path / "given", tmp_path / "to")["models"]
    assert [a.folder == b.folder for a, b in zip(first, second, strict=True)] == [True] * 7 + [
        False
    ]
    found = read_answers(second[7].path, "logits")
    np.testing.assert_array_equal(found, logits_of(member_of())[0])
    repaired = read_answers(second[2].path, "logits")
    np.testing.assert_array_equal(repaired, logits_of(member_of())[2])


def test_a_file_that_fails_in_its_last_block_leaves_nothing_and_those_before_it_stay(
    tmp_path: Path,
):
    num = BLOCK + 5
    label, logits = np.zeros(num, int), np.zeros((num, C), np.float32)
    (tmp_path / "given").mkdir()
    np.savez(tmp_path / "given" / "a.npz", labels=label, logits=logits)
    logits[-1, 0] = np.nan
    np.savez(tmp_path / "given" / "b.npz", labels=label, logits=logits)
    with pytest.raises(BadAnswers, match=r"b\.npz: 1 of logits are NaN or infinite"):
        convert(tmp_path / "given", tmp_path / "to", num)
    (kept,) = (tmp_path / "to").iterdir()
    assert sorted(path.name for path in kept.iterdir()) == ["DONE", "answers.parquet"]


def test_float16_and_log_odds_that_look_like_probabilities_are_noted(tmp_path: Path):
    member = member_of()
    write(tmp_path / "half", member, logits=logits_of(member)[7].astype(np.float16))
    *rest, half = convert(tmp_path / "half", tmp_path / "to")["models"]
    assert "ties" in half.notes[0]
    assert not any(one.notes for one in rest)
    (tmp_path / "p").mkdir()
    np.savez(tmp_path / "p" / "a.npz", label=labels_of(), log_odds=np.linspace(0, 1, N))
    (one,) = convert(tmp_path / "p", tmp_path / "to")["models"]
    assert "log(p / (1 - p))" in one.notes[0]


def probabilities() -> np.ndarray:
    exponentials = np.exp(logits_of(member_of())[7])
    return exponentials / exponentials.sum(1, keepdims=True)


LOGITS, LABELS = logits_of(member_of())[7], labels_of()
FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "fewer": ({"labels": LABELS[:-1], "logits": LOGITS[:-1]}, "answers 39 examples, the .* has 40"),
    "none": ({"labels": LABELS[:0], "logits": LOGITS[:0]}, "holds no examples"),
    "lengths": ({"labels": LABELS[:-1]}, r"different N: labels? \(39,\), logits \(40, 3\)"),
    "other labels": ({"labels": LABELS[::-1].copy()}, r"labels differ.*example 1 is 2 .* 1 there"),
    "no labels": ({"labels": None}, "it has no labels"),
    "no answers": ({"logits": None}, "neither logits nor log_odds"),
    "NaN": ({"logits": np.where(LOGITS > 4, np.nan, LOGITS)}, "NaN or infinite"),
    "infinite": ({"logits": np.where(LOGITS > 4, np.inf, LOGITS)}, "NaN or infinite"),
    "too large": ({"logits": LOGITS.astype(float) * 1e39}, "float32"),
    "integers": ({"logits": LOGITS.astype(int)}, "not float"),
    "probabilities": ({"logits": probabilities()}, "are probabilities.*before softmax"),
    "a class too many": ({"logits": LOGITS[:, :2]}, "label 2 has no logit among 2"),
    "one class": ({"logits": LOGITS[:, :1]}, r"shape \(40, 1\)"),
    "another C": ({"logits": np.hstack([LOGITS, LOGITS])}, "number of classes: 6"),
    "float labels": ({"labels": LABELS + 0.5}, "integers"),
    "negative labels": ({"labels": LABELS - 1}, "integers from 0 on"),
    "other order": ({"example": np.arange(N)[::-1]}, "sort the rows"),
    "other views": ({"views": np.array(["flip"])}, "its views"),
    "views too many": ({"views": np.array(["identity", "flip"])}, "2 names of views for .* to 1"),
    "a view twice": ({"views": np.array(["flip", "flip"])}, "named twice"),
    "views of log-odds": ({"log_odds": np.zeros((N, 2))}, "its views: .'view0', 'view1'"),
    "correct": ({"correct": LABELS}, "other numbers than 0 and 1"),
    "other columns": ({"logits": None, "log_odds": LOGITS[:, 0]}, "its number of classes: None"),
    "objects": ({"logits": np.array([{}] * N, object)}, "without objects"),
    "one number": ({"logits": np.float32(1)}, "different N|shape"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_cannot_be_audited_is_refused_with_the_file_and_the_reason(tmp_path: Path, fault: str):
    changed, reason = FAULTS[fault]
    write(tmp_path / "given", member_of(), **changed)
    with pytest.raises(BadAnswers, match=reason) as refused:
        convert(tmp_path / "given", tmp_path / "to")
    assert "model_07.npz" in str(refused.value)
    assert all((folder / "DONE").exists() for folder in (tmp_path / "to").iterdir())


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("b.npz", b"", "cannot be read"),
        ("b.npz", b"\x80\x04K\x01.", "pickled files can run code"),
        ("b.npz", b"PK\x03\x04", "cannot be read"),
        ("b.parquet", b"", "cannot be read"),
        ("b.parquet", b"PAR1 and then nothing PAR1", "cannot be read"),
    ],
)
def test_a_file_that_is_not_what_its_name_says_is_refused(
    tmp_path: Path, name: str, content: bytes, reason: str
):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadAnswers, match=reason):
        convert(tmp_path, tmp_path / "to")


def test_a_parquet_file_with_ragged_or_missing_logits_is_refused(tmp_path: Path):
    for rows, reason in (
        ([[1.0, 2.0], [3.0]], r"differ in length: \[1, 2\]"),
        ([[1.0, 2.0], None], "1 values of logits are missing"),
        ([[1.0, 2.0], [3.0, None]], "1 values of logits are missing"),
    ):
        table = pa.table({"label": [0, 1], "logits": pa.array(rows)})
        pq.write_table(table, tmp_path / "a.parquet")
        with pytest.raises(BadAnswers, match=reason):
            convert(tmp_path, tmp_path / "to", 2)
