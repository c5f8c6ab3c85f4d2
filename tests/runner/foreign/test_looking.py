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
    again, told = looked(tmp_path / "a", to="../to")
    assert (again._replace(labels=None), told) == (before._replace(labels=None), [])
    broken = next((tmp_path / "to").glob("*/answers.parquet"))
    broken.write_bytes(broken.read_bytes()[:-9])
    again, told = looked(tmp_path / "a", to="../to")
    assert again.notes == before.notes
    assert told == ["models: looking over 1 of 8 files of answers"]


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


SURE = 1 / (1 + np.exp(-4 * ODDS))
CERTAIN: dict[str, tuple[Callable[[], np.ndarray], str]] = {
    "probabilities": (lambda: SURE, "probabilities: all .* lie in"),
    "rounded probabilities": (lambda: SURE.round(2), "probabilities: all .* lie in"),
    "losses without a leak": (
        lambda: np.logaddexp(0, 4 * (3 * (MEMBER == 1) - ODDS)),
        "losses: none .* end at 0",
    ),
    "percent": (lambda: 100 * SURE, "probabilities in percent"),
    "log-probabilities": (lambda: np.log(SURE), "log-probabilities: none .* end at 0"),
}
STRANGE: dict[str, tuple[Callable[[], np.ndarray], str]] = {
    "losses, all large": (lambda: np.logaddexp(0, -ODDS + 3 * (MEMBER == 1)) + 0.5, "as no loss"),
    "percent, clipped": (lambda: np.clip(100 * P, 1, 97), "no probability in percent"),
    "log-probabilities of models that are never sure": (
        lambda: np.log(0.8 * P),
        "as no log-probability",
    ),
    "turned round": (lambda: -ODDS, "members are lower than others'"),
}


@pytest.mark.parametrize("name", CERTAIN)
def test_log_odds_that_can_be_none_are_refused(tmp_path: Path, name: str):
    made, told = CERTAIN[name]
    put(tmp_path / "a", log_odds=made())
    with pytest.raises(BadAnswers, match=rf"model_0\.npz: log_odds are {told}"):
        looked(tmp_path / "a")


@pytest.mark.parametrize("name", STRANGE)
def test_log_odds_that_may_be_something_else_are_noted(tmp_path: Path, name: str):
    made, told = STRANGE[name]
    put(tmp_path / "a", log_odds=made())
    (note,) = looked(tmp_path / "a")[0].notes
    assert told in note


ROWS: dict[str, list[int]] = {
    "sorted as text": [0, 2, 3, 4, 5, 6, 7, 1],
    "two of them changed": [0, 1, 5, 3, 4, 2, 6, 7],
    "in reverse": [7, 6, 5, 4, 3, 2, 1, 0],
}


@pytest.mark.parametrize("name", ROWS)
def test_rows_of_other_models_are_refused_by_name(tmp_path: Path, name: str):
    put(tmp_path / "a", logits=LOGITS)
    with pytest.raises(BadAnswers, match=r"its answers go with row \d of .* and not with row \d"):
        looked(tmp_path / "a", MEMBER[ROWS[name]])


def test_models_that_keep_nothing_beside_others_that_do_are_not_taken_for_them(tmp_path: Path):
    much = np.array([0, 0, 6, 6, 6, 6, 6, 6])[:, None, None]
    base = logits_of(MEMBER, 0.0)
    kept = much * ((MEMBER == 1)[..., None] * (LABELS[:, None] == np.arange(3)))
    put(tmp_path / "a", logits=(base + kept).astype(np.float32))
    assert looked(tmp_path / "a")[0].notes == ()
    fixed = np.random.default_rng(2).permuted(np.tile([0, 1], (N, M // 2)), axis=1).T
    kept = much * ((fixed == 1)[..., None] * (LABELS[:, None] == np.arange(3)))
    put(tmp_path / "b", logits=(base + kept).astype(np.float32))
    assert looked(tmp_path / "b", fixed.astype(np.int8))[0].notes == ()


def test_which_row_was_taken_for_which_file_is_said_with_what_confirms_it(tmp_path: Path):
    put(tmp_path / "a", logits=LOGITS)
    (said,) = looked(tmp_path / "a")[0].orders
    assert "row m of the member matrix is the m-th file by name, model_0 to model_7" in said
    aucs = [
        (odds[row == 1][:, None] > odds[row == 0]).mean()
        for odds, row in zip(ODDS, MEMBER, strict=True)
    ]
    assert (
        f"8 of 8 models answer their members better than others (AUC {np.mean(aucs):.3f})" in said
    )
    shuffled = MEMBER[:, np.random.default_rng(1).permutation(N)]
    (said,) = looked(tmp_path / "a", shuffled)[0].orders
    assert said.endswith("does not confirm that rows and examples are in this order")


def test_a_model_whose_examples_are_in_another_order_is_named(tmp_path: Path):
    logits, order = LOGITS.copy(), np.arange(N)
    for label in range(3):
        places = np.flatnonzero(label == LABELS)
        order[places] = np.random.default_rng(label).permutation(places)
    logits[5] = LOGITS[5][order]
    put(tmp_path / "a", logits=logits)
    (said,) = looked(tmp_path / "a")[0].orders
    assert "but not model_5 (0." in said
    assert said.endswith("does not confirm that its examples are in this order")


LABELLED: dict[str, np.ndarray] = {
    "counted from 1": np.roll(np.arange(3), 1),
    "columns in another order": np.array([2, 1, 0]),
}


@pytest.mark.parametrize("name", LABELLED)
def test_labels_that_mean_other_columns_are_refused(tmp_path: Path, name: str):
    put(tmp_path / "a", logits=logits_of(MEMBER, 6.0)[:, :, LABELLED[name]])
    with pytest.raises(BadAnswers, match="number the labels as the logits' columns"):
        looked(tmp_path / "a")


@pytest.mark.parametrize("num_classes", [3, 10])
def test_negatives_of_logits_are_refused_as_what_they_are(tmp_path: Path, num_classes: int):
    """-log p of each class; its largest is the class that the model believes in least."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 1, (M, N, num_classes))
    logits[:, np.arange(N), LABELS] += 2 + 2 * MEMBER
    loss = np.logaddexp.reduce(logits, axis=2, keepdims=True) - logits
    put(tmp_path / "a", logits=loss)
    share = (logits[0].argmax(1) == LABELS).mean()
    with pytest.raises(
        BadAnswers, match=rf"model_0\.npz: {share:.0%} of the labels have the small"
    ):
        looked(tmp_path / "a")


def test_models_that_are_wrong_about_everything_in_no_order_are_read(tmp_path: Path):
    put(tmp_path / "a", logits=logits_of(MEMBER, -1.0))
    looked(tmp_path / "a")


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
