import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from attacks.membership.threshold import CUTS, Threshold, modified_entropy
from runner.statistics.metrics import auc
from tests import oracles

ANY = oracles.unlabelled(1)
STATISTICS = ("loss", "confidence", "modified_entropy")


def mentr(logits: list[float], label: int) -> float:
    """Modified entropy by its definition, in fractions of the exponentials."""
    odds = [Fraction(math.exp(x - max(logits))) for x in logits]
    total = sum(odds)
    found = 0.0
    for i, each in enumerate(odds):
        p, others = each / total, (total - each) / total  # without rounding
        if i == label:
            found -= float(others) * log(p)
        else:
            found -= float(p) * log(others)
    return found


def log(p: Fraction) -> float:
    """log of a fraction, also of one that a float would round to 1 or to 0."""
    if p > Fraction(1, 2):
        return math.log1p(-float(1 - p))
    return math.log(p.numerator) - math.log(p.denominator)


def test_modified_entropy_is_its_definition():
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(0, 6, (200, 5)), rng.integers(0, 5, 200)
    expected = [mentr(list(row), y) for row, y in zip(logits, labels, strict=True)]
    np.testing.assert_allclose(modified_entropy(logits, labels), expected, rtol=1e-12)


@pytest.mark.parametrize("gap", [30, 60, 300, 700])
def test_certain_answers_have_a_modified_entropy_of_their_own(gap):
    """Sure and right: (1 - p)^2 (1 + 1) of two classes. Sure and wrong: the gap, twice."""
    logits = np.array([[gap, 0.0], [gap, 0.0]])
    right, wrong = modified_entropy(logits, np.array([0, 1]))
    assert right == pytest.approx(2 * math.exp(-2 * gap), rel=1e-9)
    assert wrong == pytest.approx(2 * gap, rel=1e-9)


def test_log_probabilities_have_the_modified_entropy_of_logits():
    rng = np.random.default_rng(1)
    logits, labels = rng.normal(0, 4, (50, 6)), rng.integers(0, 6, 50)
    given = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    np.testing.assert_allclose(
        modified_entropy(given, labels), modified_entropy(logits, labels), rtol=1e-9
    )


def test_an_entropy_that_is_small_where_the_answer_is_wrong_is_not_small_when_modified():
    logits = np.array([[8.0, 0, 0], [8.0, 0, 0], [0, 0, 0]])
    right, wrong, unsure = modified_entropy(logits, np.array([0, 1, 0]))
    assert right < unsure < wrong


def test_loss_and_confidence_are_those_of_the_probability_averaged_over_views():
    p = np.array([[0.5, 0.9], [0.01, 0.999]])
    odds = np.log(p) - np.log1p(-p)
    loss, confidence = (
        Threshold(statistic=statistic).signal(odds, ANY)[:, 0]
        for statistic in ("loss", "confidence")
    )
    np.testing.assert_allclose(loss, np.log(p).mean(axis=1), rtol=1e-12)
    np.testing.assert_allclose(confidence, p.mean(axis=1), rtol=1e-12)


def test_of_one_view_loss_and_confidence_rank_alike_until_confidence_is_1():
    odds = np.random.default_rng(2).normal(5, 5, (300, 1))
    orders = [np.argsort(Threshold(statistic=s).signal(odds, ANY)[:, 0]) for s in STATISTICS[:2]]
    np.testing.assert_array_equal(orders[0], orders[1])
    sure = np.array([[40.0], [41.0]])
    assert np.diff(Threshold(statistic="confidence").signal(sure, ANY)[:, 0]) == 0
    assert np.diff(Threshold(statistic="loss").signal(sure, ANY)[:, 0]) > 0


def test_without_classes_the_score_is_the_statistic_and_no_shadow_is_looked_at():
    values = np.array([[3.0], [1.0]])
    scores = Threshold().score(values, np.full((1, 2, 1), np.nan), np.ones((1, 2)), ANY)
    np.testing.assert_array_equal(scores, values[:, 0])
    assert Threshold().sums(values[None], np.ones((1, 2)), np.zeros(1, int), ANY) == {}


def test_the_loss_attack_of_privacy_meter_has_its_sign_turned():
    """Its second version (attacks.py, run_loss) takes minus the probability for the score.

    Its code, on 16 models that know their members, found an AUC of 0.258, and this attack 0.742.
    """
    rng = np.random.default_rng(3)
    member = rng.random(500) < 0.5
    odds = rng.normal(2 * member, 1)[:, None]
    attack = Threshold(statistic="confidence")
    ours = attack.signal(odds, ANY)[:, 0]
    theirs = -ours
    assert auc(ours, member) > 0.8
    assert auc(theirs, member) == pytest.approx(1 - auc(ours, member), abs=1e-12)


def shadows_of(statistic: Any, num_models: int, rng: np.random.Generator):
    """Statistics (M, N, 1), membership in complementary pairs with some not judged, and classes."""
    labels = rng.integers(0, 3, 90)
    examples = oracles.examples_of(labels, 3)
    member = (rng.random((num_models, 90)) < 0.5).astype(np.int8)
    member[1::2] = 1 - member[::2]
    member[:, :5] = -1
    odds = rng.normal(labels + 2.0 * member, 1.5)
    if statistic == "modified_entropy":
        answers = [np.stack([row * (labels == c) for c in range(3)], axis=1) for row in odds]
    else:
        answers = list(odds[:, :, None])
    attack = Threshold(statistic=statistic, per_class=True)
    values = np.stack([attack.signal(each, examples) for each in answers])
    return attack, values, member, examples


@pytest.mark.parametrize("statistic", STATISTICS)
def test_the_threshold_of_a_class_is_the_cut_that_tells_its_shadows_members_best(statistic):
    attack, values, member, examples = shadows_of(statistic, 6, np.random.default_rng(4))
    scores = attack.score(values[0], values[1:], member[1:], examples)
    for c in range(3):
        inside, outside = (
            values[1:, :, 0][(member[1:] == kind) & (examples.label == c)] for kind in (1, 0)
        )

        def balanced(cut: float, inside=inside, outside=outside) -> Fraction:
            return Fraction(int((inside >= cut).sum()), len(inside)) + Fraction(
                int((outside < cut).sum()), len(outside)
            )

        best = max(attack.cuts, key=balanced)  # the first, so the lowest, of equals
        of_class = examples.label == c
        np.testing.assert_array_equal(scores[of_class], values[0, of_class, 0] - best)


@pytest.mark.parametrize("statistic", STATISTICS)
def test_all_targets_at_once_leave_out_the_target_and_its_partner_exactly(statistic):
    attack, values, member, examples = shadows_of(statistic, 8, np.random.default_rng(5))
    partner = np.array([1, 0, 3, 2, 5, 4, 6, 7])
    totals = attack.sums(values, member, partner, examples)
    assert totals["counts"].sum() == (member >= 0).sum()
    scores = attack.score_all(values, member, partner, examples, totals)
    for m in range(8):
        shadows = [s for s in range(8) if s not in (m, partner[m])]
        expected = attack.score(values[m], values[shadows], member[shadows], examples)
        np.testing.assert_array_equal(scores[m], expected)


@pytest.mark.parametrize("statistic", STATISTICS)
def test_the_cuts_rise_and_reach_from_as_wrong_as_answers_get_to_certainty(statistic):
    cuts = Threshold(statistic=statistic).cuts
    assert len(cuts) == len(CUTS)
    assert (np.diff(cuts) >= 0).all()
    lowest, highest = {
        "loss": (-math.exp(5), -math.exp(-35)),
        "confidence": (math.exp(-math.exp(5)), math.exp(-math.exp(-35))),
        "modified_entropy": (-math.exp(10), -math.exp(-70)),
    }[statistic]
    assert (cuts[0], cuts[-1]) == (pytest.approx(lowest), pytest.approx(highest))


def test_a_class_that_shadows_lack_members_of_cannot_be_judged():
    attack, values, member, examples = shadows_of("loss", 4, np.random.default_rng(6))
    member[1:, examples.label == 2] = 0
    scores = attack.score(values[0], values[1:], member[1:], examples)
    np.testing.assert_array_equal(np.isnan(scores), examples.label == 2)


def test_classes_of_different_hardness_are_told_apart_better_by_thresholds_of_their_own():
    rng = np.random.default_rng(7)
    labels = rng.integers(0, 2, 4000)
    member = (rng.random((2, 4000)) < 0.5).astype(np.int8)
    odds = (6.0 * labels + 2 * member + rng.normal(0, 1, member.shape))[:, :, None]
    examples = oracles.examples_of(labels, 2)
    found = []
    for attack in (Threshold(), Threshold(per_class=True)):
        values = np.stack([attack.signal(each, examples) for each in odds])
        found.append(auc(attack.score(values[0], values[1:], member[1:], examples), member[0] == 1))
    assert found[1] > found[0] + 0.05
