"""Answers that are each in order, and not beside the others."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from attacks.membership import log_odds
from runner.faults import BadAnswers
from runner.foreign.listing import listed
from runner.foreign.looking import Looked, look_over
from tests.made.given import M, convert, labels_of, logits_of, member_of

N = 200
MEMBER, LABELS = member_of(num_examples=N), labels_of(N)
LOGITS = logits_of(MEMBER)
ODDS = np.stack([log_odds(of, LABELS) for of in LOGITS])
P = 1 / (1 + np.exp(-ODDS))


def put(folder: Path, **columns: np.ndarray) -> None:
    """Write model_<m>.npz from columns (M, N, ...)."""
    folder.mkdir(parents=True)
    for m in range(M):
        own = {name: values[m] for name, values in columns.items()}
        np.savez(folder / f"model_{m}.npz", labels=LABELS, **own)


def looked(folder: Path, member: np.ndarray = MEMBER, to: str = "to") -> tuple[Looked, list[str]]:
    """What is found, and what was told."""
    told: list[str] = []
    return look_over(listed(str(folder), "member.npy"), member, folder / to, told.append), told


def test_answers_in_order_are_of_one_kind_and_nothing_is_written(tmp_path: Path):
    put(tmp_path / "a", logits=LOGITS)
    found, told = looked(tmp_path / "a")
    assert found.kind == (("identity",), 3, ("log_odds", "logits", "correct"))
    assert found.notes == ()
    assert told == ["models: looking over 8 of 8 files of answers"]
    assert len(list(tmp_path.rglob("*"))) == 1 + M


def test_what_was_converted_is_looked_at_where_it_lies_and_a_damaged_copy_is_not(tmp_path: Path):
    put(tmp_path / "a", logits=LOGITS)
    before, _ = looked(tmp_path / "a", to="../to")
    convert(tmp_path / "a", tmp_path / "to", N)
    assert looked(tmp_path / "a", to="../to") == (before, [])
    broken = next((tmp_path / "to").glob("*/answers.parquet"))
    broken.write_bytes(broken.read_bytes()[:-9])
    again, told = looked(tmp_path / "a", to="../to")
    assert (again, told) == (before, ["models: looking over 1 of 8 files of answers"])


@pytest.mark.parametrize(("one", "other"), [(0, 1), (0, 2), (3, 7)])
def test_two_models_with_the_same_answers_are_refused_by_name(tmp_path: Path, one: int, other: int):
    """Also where the same weights were asked in other batches, which moves the last digits."""
    logits = LOGITS.copy()
    noise = np.random.default_rng(0).normal(0, 1e-5, logits[one].shape)
    logits[other] = logits[one] + noise.astype(np.float32)
    put(tmp_path / "a", logits=logits)
    named = rf"model_{other}\.npz: it holds the same answers as .*model_{one}\.npz; .* asked twice"
    with pytest.raises(BadAnswers, match=named):
        looked(tmp_path / "a")


def test_arms_with_the_same_answers_are_noted(tmp_path: Path):
    put(tmp_path / "in" / "a", logits=LOGITS)
    put(tmp_path / "in" / "b", logits=np.concatenate([LOGITS[:3], LOGITS[3:] + 1]))
    put(tmp_path / "in" / "c", logits=2 * LOGITS)
    (note,) = looked(tmp_path / "in")[0].notes
    assert note.startswith("8 of 8 models of a and b give the same answers")  # softmax drops the 1


def test_losses_in_place_of_log_odds_are_refused(tmp_path: Path):
    put(tmp_path / "a", log_odds=np.logaddexp(0, -ODDS))  # -log p
    with pytest.raises(BadAnswers, match=r"model_0\.npz: log_odds are losses: none .* below 0"):
        looked(tmp_path / "a")


STRANGE: dict[str, tuple[Callable[[], np.ndarray], str]] = {
    "losses without a leak": (lambda: np.logaddexp(0, -ODDS + 3 * (MEMBER == 1)), "as no loss"),
    "percent": (lambda: 100 * P, "no probability in percent"),
    "log-probabilities": (lambda: np.log(P), "as no log-probability"),
    "turned round": (lambda: -ODDS, "members are lower than others'"),
}


@pytest.mark.parametrize("name", STRANGE)
def test_log_odds_that_are_something_else_are_noted(tmp_path: Path, name: str):
    made, told = STRANGE[name]
    put(tmp_path / "a", log_odds=made())
    (note,) = looked(tmp_path / "a")[0].notes
    assert told in note


def test_models_that_are_right_about_everything_are_not_taken_for_losses(tmp_path: Path):
    logits = 10 * (LABELS[:, None] == np.arange(3)) + LOGITS - 3 * (MEMBER == 1)[..., None]
    put(tmp_path / "a", logits=logits.astype(np.float32))
    assert looked(tmp_path / "a")[0].notes == ()


def test_rows_that_do_not_go_with_their_models_are_noted(tmp_path: Path):
    put(tmp_path / "a", logits=LOGITS)
    (note,) = looked(tmp_path / "a", 1 - MEMBER)[0].notes
    aucs = [
        (odds[row == 0][:, None] > odds[row == 1]).mean()
        for odds, row in zip(ODDS, MEMBER, strict=True)
    ]
    assert f"AUC {np.mean(aucs):.3f} over the 8 models" in note
    assert "does 1 stand for members?" in note
