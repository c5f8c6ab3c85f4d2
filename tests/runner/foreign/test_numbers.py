"""Numbers that are called logits and are none, and log-odds that tie."""

from pathlib import Path

import numpy as np
import pytest

from attacks.membership import log_odds
from runner.faults import BadAnswers
from runner.foreign._numbers import Rows, tied
from tests.made.given import convert, labels_of

N, C = 400, 10
RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, C, N)
LOGITS = RNG.normal(0, 1, (N, C)) + 5 * (LABELS[:, None] == np.arange(C))
P = np.exp(LOGITS) / np.exp(LOGITS).sum(1, keepdims=True)  # float64


def bfloat16(values: np.ndarray) -> np.ndarray:
    """Cut to the 16 upper bits of float32."""
    bits = values.astype(np.float32).view(np.uint32) & np.uint32(0xFFFF0000)
    return bits.view(np.float32)


def refusal(values: np.ndarray) -> str:
    """What is said of a file of such rows, "" if nothing is; they come in three blocks."""
    rows = Rows()
    for block in np.array_split(values, 3):
        rows.add(block)
    try:
        rows.check("logits", "a.npz")
    except BadAnswers as refused:
        return str(refused)
    return ""


ODD_ROW = np.vstack([P[:-1], 3 * P[-1:]])  # one that is no probabilities
PROBABILITIES = {
    "exact": P,
    "of views": np.stack([P, P[:, ::-1]], axis=1),
    "float16": P.astype(np.float16),
    "bfloat16": bfloat16(P),
    "two digits": P.round(2),
    "three digits": P.round(3),
    "one odd row": ODD_ROW,
    "percent": 100 * P,
    "percent of two digits": (100 * P).round(),
    "percent of bfloat16": bfloat16(100 * P),
    "clipped": P.clip(1e-3, 0.999),
    "clipped far": P.clip(0.02, 0.98),
    "percent clipped far": (100 * P).clip(2, 98),
    "of each class by itself": 1 / (1 + np.exp(-LOGITS)),
}


@pytest.mark.parametrize("name", PROBABILITIES)
def test_probabilities_are_refused_however_they_were_written(name: str):
    assert "logits are probabilities" in refusal(PROBABILITIES[name])
    assert "before softmax" in refusal(PROBABILITIES[name])


def test_logits_and_log_probabilities_are_taken_for_what_they_are():
    for values in (
        LOGITS,
        LOGITS / 100,
        np.log(P),
        np.maximum(LOGITS, 0),
        np.maximum(20 * LOGITS, 0),
        LOGITS - LOGITS.min(),
        np.zeros((N, C)),
        np.repeat([[0.3, 0.7], [-4.0, 4.0]], N, axis=0),  # no more than half of all rows sum to 1
    ):
        assert refusal(values) == ""


def test_log_odds_that_most_examples_share_are_said_to_tie():
    odds = log_odds(LOGITS, LABELS).astype(np.float32)
    assert tied(odds) is None
    assert tied(np.concatenate([odds, odds[: N // 3]])) is None  # half of 4/3 N are shared
    assert str(tied(np.concatenate([odds, odds]))).startswith("100% of the log-odds are shared")
    with np.errstate(divide="ignore"):
        rounded = np.log(P.round(2).clip(1e-30))
    assert "scores tie" in str(tied(log_odds(rounded, LABELS).astype(np.float32).round(4)))


def test_logits_of_bfloat16_are_noted(tmp_path: Path):
    for name, values in (("a", LOGITS.astype(np.float32)), ("b", bfloat16(LOGITS))):
        np.savez(tmp_path / f"{name}.npz", labels=LABELS, logits=values)
    whole, cut = convert(tmp_path, tmp_path / "to", N)["models"]
    assert whole.notes == ()
    assert "no more digits than bfloat16" in cut.notes[0]


def test_probabilities_of_a_file_are_found_over_all_its_blocks(tmp_path: Path):
    (tmp_path / "given").mkdir()
    label = labels_of(10_000)
    thirds = np.full((10_000, 3), np.float32(1 / 3)).round(2)
    np.savez(tmp_path / "given" / "a.npz", labels=label, logits=thirds)
    with pytest.raises(BadAnswers, match=r"a\.npz: logits are probabilities"):
        convert(tmp_path / "given", tmp_path / "to", 10_000)
    assert not list(tmp_path.glob("to/*/DONE"))
