import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attacks.membership import log_odds
from runner.faults import BadAnswers
from runner.storage.answers import (
    KINDS,
    Answered,
    answers_to_bytes,
    num_blocks,
    read_answers,
    read_views,
)
from runner.storage.parquet import BLOCK
from tests.made.given import C, N, convert, labels_of, logits_of, member_of, to_parquet, write


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
    of_views = rng.normal(0, 1, (N, 2, C)).astype(np.float32)
    own = Answered(
        log_odds=np.stack([log_odds(of_views[:, v], label) for v in (0, 1)], 1).astype(np.float32),
        logits=of_views[:, 1],
        correct=of_views.argmax(axis=2) == label[:, None],
        view_logits=of_views,
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
