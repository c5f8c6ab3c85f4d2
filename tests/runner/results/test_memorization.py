"""Leakage by memorization score, from answers and scores that no stage wrote."""

import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runner.results._memorization import leakage_by_memorization, target_rates
from runner.storage import store
from runner.storage.answers import Answered, answers_to_bytes
from runner.storage.store import Corrupt
from tests.made.memorization import DATA, NUM, NUM_MODELS, RATE, Made, experiment_of, published


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return Made(experiment_of(arm="erm"), tmp_path)


def slow_rates(made: Made, arm: str, score: np.ndarray, edges: np.ndarray, m: int) -> Any:
    """TPR, accuracy and member accuracy of one target: over all, in bin 0, and in each other."""
    judged = [
        (made.plan.member[m, i] == 1, np.float32(made.found[arm][m, i]), made.right[arm][m, i], s)
        for i, s in enumerate(score)
        if not math.isnan(s)
    ]
    negatives = [x for inside, x, _, _ in judged if not inside]
    best = np.zeros(len(judged), bool)
    for threshold in {x for _, x, _, _ in judged}:
        called = np.array([x >= threshold for _, x, _, _ in judged])
        if sum(x >= threshold for x in negatives) <= RATE * len(negatives) + 1e-9:
            best = max(best, called, key=np.sum)
    places = [lambda s: True, lambda s: s <= 0]
    for low, high in pairwise(edges):
        places.append(lambda s, a=low, b=high: a + 1e-9 < s <= b + 1e-9)
    rows = []
    for belongs in places:
        here = [(one, hit) for one, hit in zip(judged, best, strict=True) if belongs(one[3])]
        hits = [hit for (inside, *_), hit in here if inside]
        outside = [right for (inside, _, right, _), _ in here if not inside]
        members = [right for (inside, _, right, _), _ in here if inside]
        rows.append([sum(x) / len(x) if x else math.nan for x in (hits, outside, members)])
    return np.array(rows)


def mean_over_pairs(values: np.ndarray) -> float:
    """The mean over the means of pairs, of what is defined."""
    pairs = [[v for v in pair if not math.isnan(v)] for pair in values.reshape(-1, 2)]
    means = [sum(pair) / len(pair) for pair in pairs if pair]
    return sum(means) / len(means) if means else math.nan


def own_score(made: Made) -> np.ndarray:
    """The scores of the first eight models, one example at a time."""
    score = []
    for i in range(NUM):
        rates = []
        for c in (1, 0):
            of_class = [
                made.right["erm"][m, i]
                for m in range(NUM_MODELS // 2)
                if made.plan.member[m, i] == c
            ]
            rates.append(sum(of_class) / len(of_class))
        score.append(rates[0] - rates[1])
    return np.array(score)


def test_every_figure_is_that_of_a_slow_count(made: Made):
    found = made.results()
    score, edges = own_score(made), np.array(found["bins"]["edges"])
    slow = {
        arm: np.array([slow_rates(made, arm, score, edges, m) for m in range(8, NUM_MODELS)])
        for arm in ("erm", "pgd_at")
    }
    assert found["num_targets"] == 8
    for q, quantity in enumerate(("tpr", "accuracy", "member_accuracy")):
        for arm, rates in slow.items():
            values = found["arms"][arm][quantity]
            figures = [values["overall"], *values["by_bin"]]
            means = [f["mean"] if f else math.nan for f in figures]
            expected = [mean_over_pairs(rates[:, b, q]) for b in range(len(figures))]
            assert means == pytest.approx(expected, nan_ok=True)
        change = found["arms"]["pgd_at"]["change"][quantity]
        figures = [change["overall"], *change["by_bin"]]
        means = [f["mean"] if f else math.nan for f in figures]
        less = slow["pgd_at"][:, :, q] - slow["erm"][:, :, q]
        expected = [mean_over_pairs(less[:, b]) for b in range(len(figures))]
        assert means == pytest.approx(expected, nan_ok=True)


def test_bins_say_how_many_they_are_and_how_many_examples_they_hold(made: Made):
    found = made.results()
    bins, score = found["bins"], own_score(made)
    assert bins["asked"] == 20
    assert 1 / bins["used"] >= bins["median_standard_error"] > 1 / (bins["used"] + 1)
    assert bins["edges"] == pytest.approx(np.linspace(0, 1, bins["used"] + 1))
    assert bins["counts"][0] == (score <= 0).sum() > 100
    assert sum(bins["counts"]) == NUM
    assert bins["num_not_judged"] == 0


def test_parts_of_the_change_of_accuracy_add_up_to_all_of_it(made: Made):
    change = made.results()["arms"]["pgd_at"]["change"]
    parts = [part["mean"] for part in change["accuracy_parts"]]
    assert sum(parts) == pytest.approx(change["accuracy"]["overall"]["mean"])
    assert change["accuracy"]["overall"]["mean"] < 0


def test_what_is_paired_has_the_interval_of_the_differences(made: Made):
    """The second arm is right where the first is, but for its non-members of bin 0."""
    made.right["pgd_at"] = made.right["erm"].copy()
    change = made.results()["arms"]["pgd_at"]["change"]["accuracy"]["by_bin"]
    assert all((f["mean"], f["low"], f["high"]) == (0, 0, 0) for f in change if f)
    zero = (own_score(made) <= 0) & (made.plan.member == 0)
    made.right["pgd_at"] &= ~zero
    first, *others = made.results()["arms"]["pgd_at"]["change"]["accuracy"]["by_bin"]
    assert first["high"] < -0.5
    assert all((f["mean"], f["low"], f["high"]) == (0, 0, 0) for f in others if f)


def test_models_that_give_the_scores_are_no_targets(made: Made):
    before = made.results()
    half = NUM_MODELS // 2
    for arm in ("erm", "pgd_at"):
        made.found[arm][:half] = np.random.default_rng(3).normal(size=(half, NUM))
    made.right["pgd_at"][:half] = False
    assert made.results() == before
    assert before["source"]["num_models"] == half
    made.found["erm"][half:] = 0
    assert made.results()["arms"]["erm"]["tpr"] != before["arms"]["erm"]["tpr"]


def test_answers_of_targets_do_not_move_a_score(made: Made):
    before = made.results()["bins"]
    made.right["erm"][NUM_MODELS // 2 :] = False
    assert made.results()["bins"] == before


def test_accuracy_in_a_bin_falls_as_memorization_says(made: Made):
    """Non-members are right at a rate of 1 - memorization, and leakage rises with it."""
    arm = made.results()["arms"]["erm"]
    accuracy = [f["mean"] for f in arm["accuracy"]["by_bin"]]
    assert accuracy[0] > 0.9
    assert accuracy[-1] < 0.35
    assert all(f["mean"] == 1 for f in arm["member_accuracy"]["by_bin"])
    tpr = [f["mean"] for f in arm["tpr"]["by_bin"]]
    assert tpr[0] < 0.2
    assert tpr[-1] > 0.5


def test_answers_of_another_pool_are_corrupt(made: Made):
    made.results()
    run, questions = made.plan.arms["erm"][0], made.experiment.questions("erm")
    path = made.at.answers(run.id, questions.answers_id) / "answers.parquet"
    zeros = np.zeros((7, 10))
    answered = Answered(zeros[:, :1], zeros)
    store.write(path, answers_to_bytes(np.arange(7), answered, ["identity"]))
    with pytest.raises(Corrupt, match="7 answers, but the pool has 300"):
        leakage_by_memorization(made.work)


def test_a_published_file_leaves_all_models_as_targets_and_judges_no_other_row(tmp_path: Path):
    score = np.random.default_rng(4).uniform(-0.5, 1, 200)
    file = published(tmp_path / "mem.npz", score, DATA.pool_labels[:200])
    made = Made(experiment_of(file=str(file), num_bins=4), tmp_path)
    found = made.results()
    assert found["source"] == {
        "arm": None,
        "file": "mem.npz",
        "num_models": None,
        "labels_compared": True,
    }
    assert found["num_targets"] == found["arms"]["erm"]["tpr"]["overall"]["num_models"] == 16
    bins = found["bins"]
    assert (bins["used"], bins["num_not_judged"], bins["median_standard_error"]) == (4, 100, None)
    assert bins["counts"] == [(score <= 0).sum(), *np.histogram(score, [0, 0.25, 0.5, 0.75, 1])[0]]
    assert found["num_negatives"] == (made.plan.member[:, :200] == 0).sum(1).min()
    assert found["reference"] == "erm"
    padded = np.append(score, np.full(100, np.nan))
    slow = [slow_rates(made, "erm", padded, np.linspace(0, 1, 5), m) for m in range(16)]
    means = [f["mean"] for f in found["arms"]["erm"]["tpr"]["by_bin"]]
    expected = [mean_over_pairs(np.array(slow)[:, b, 0]) for b in range(1, 6)]
    assert means == pytest.approx(expected)
    for arm in ("erm", "pgd_at"):
        made.found[arm][:, 200:], made.right[arm][:, 200:] = 99, False
    assert made.results() == found


def test_a_tiny_case_by_hand():
    """One threshold, 3, for both bins: one of four non-members is above it."""
    scores = np.array([4, 3, 2, 1, 9, 5, 3, 3.5], float)
    member = np.array([0, 0, 0, 0, 1, 1, 1, 1], np.int8)
    bins = np.array([0, 1, 1, 1, 0, 1, 1, 1])
    correct = np.array([1, 1, 0, 0, 1, 1, 1, 0], bool)
    found = target_rates(scores, correct, member, bins, 2, 0.25)
    assert found["tpr"] == pytest.approx([3 / 4, 1, 2 / 3, np.nan], nan_ok=True)
    assert found["accuracy"] == pytest.approx([1 / 2, 1, 1 / 3, np.nan], nan_ok=True)
    assert found["member_accuracy"] == pytest.approx([3 / 4, 1, 2 / 3, np.nan], nan_ok=True)


def test_examples_that_a_target_is_not_judged_on_do_not_count():
    scores, correct = np.array([1.0, 2, 0, 99, 99]), np.array([1, 0, 1, 0, 0], bool)
    member, bins = np.array([1, 1, 0, -1, 0], np.int8), np.array([0, 1, 1, 1, -1])
    found = target_rates(scores, correct, member, bins, 1, 0.001)
    assert found["tpr"].tolist() == [1, 1, 1]
    assert found["accuracy"][0] == 1
