"""Answers that are not what an audit needs, and those that it notes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runner.faults import BadAnswers
from runner.storage.answers import read_answers
from tests.made.given import N, convert, labels_of, logits_of, member_of, write


@pytest.mark.parametrize("stored", [np.float16, np.float32, np.float64])
def test_digits_of_float16_are_noted_whatever_they_are_stored_as(tmp_path: Path, stored: type):
    member = member_of()
    half = logits_of(member)[7].astype(np.float16).astype(stored)
    write(tmp_path / "half", member, logits=half)
    *rest, half = convert(tmp_path / "half", tmp_path / "to")["models"]
    assert "no more digits than float16" in half.notes[0]
    assert "tie" in half.notes[0]
    assert not any(one.notes for one in rest)


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
    "both labels": ({"label": LABELS}, "labels? and labels? mean the same"),
    "views twice": (
        {"logits": np.stack([LOGITS] * 2, 1), "view_logits": np.stack([LOGITS] * 2, 1)},
        "logits and view_logits are both of several views",
    ),
    "another view first": (
        {"view_logits": np.stack([LOGITS[:, ::-1], LOGITS], 1)},
        "logits are not those of the plain image among view_logits, in .* of 40 rows.*name the",
    ),
    "another view called so": (
        {
            "view_logits": np.stack([LOGITS, LOGITS[::-1]], 1),
            "views": np.array(["flip", "identity"]),
        },
        "logits are not those of the plain image among view_logits, in 40 of 40 rows",
    ),
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
    "log-odds of others": ({"log_odds": LOGITS[:, 0] + 9}, "not those of the logits beside them"),
    "answers of others": ({"correct": LOGITS.argmax(1) != LABELS}, "correct are not those of"),
    "each class's log-odds": (
        {"logits": np.log(probabilities() / (1 - probabilities()))},
        r"log\(p / \(1 - p\)\) of each class",
    ),
    "one logit of two classes": ({"logits": LOGITS[:, 0]}, r"one logit z write \[0, z\]"),
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


def test_one_logit_of_two_classes_is_that_of_the_second(tmp_path: Path):
    labels, one = labels_of() % 2, LOGITS[:, 0]
    both = np.stack([np.zeros_like(one), one], axis=1)
    for name, logits in (("vector", one), ("column", one[:, None]), ("both", both)):
        (tmp_path / name).mkdir()
        np.savez(tmp_path / name / "m.npz", labels=labels, logits=logits)
    converted = {
        n: convert(tmp_path / n, tmp_path / f"to_{n}") for n in ("vector", "column", "both")
    }
    odds = [read_answers(of["models"][0].path, "log_odds") for of in converted.values()]
    np.testing.assert_array_equal(odds[0], odds[2])
    np.testing.assert_array_equal(odds[1], odds[2])


def test_log_odds_need_no_labels_and_that_there_are_none_is_said(tmp_path: Path):
    (tmp_path / "given").mkdir()
    np.savez(tmp_path / "given" / "m.NPZ".lower(), log_odds=LOGITS[:, 0])
    (tmp_path / "given" / "m.npz").rename(tmp_path / "given" / "m.NPZ")
    (one,) = convert(tmp_path / "given", tmp_path / "to")["models"]
    np.testing.assert_array_equal(read_answers(one.path, "log_odds")[:, 0], LOGITS[:, 0])
    assert any("there are no labels" in note for note in one.notes)


@pytest.mark.parametrize("names", [["flip", "identity"], ["flip", "crop"], ["left", "up"]])
def test_logits_go_with_the_view_that_is_the_plain_image_or_with_none(
    tmp_path: Path, names: list[str]
):
    """Also where they were asked for in another batch, in half precision and shifted."""
    flip, member = LOGITS[:, ::-1], member_of()
    of_views = np.stack([flip, LOGITS.astype(np.float16).astype(np.float32) + 1], 1)
    rest = {"views": np.array(names), "view_logits": of_views}
    write(tmp_path / "one", member[-1:], **rest, logits=LOGITS)
    (one,) = convert(tmp_path / "one", tmp_path / "to")["models"]
    assert one.kind.views == tuple(names)
