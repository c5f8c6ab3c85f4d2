import numpy as np
import pytest

from attacks.membership.label_only import LabelOnly
from runner.statistics.metrics import auc, roc, tpr_at_fpr
from tests import oracles

ANY = oracles.unlabelled(1)  # which examples they are does not matter


def test_the_signal_is_the_share_of_views_that_are_right():
    correct = np.array([[1, 1, 0, 1], [0, 0, 0, 0]], np.uint8)
    np.testing.assert_array_equal(LabelOnly().signal(correct, ANY), [[0.75], [0]])


def test_with_one_view_it_is_the_gap_attack():
    """adversarial-robustness-toolbox 1.20.1, MembershipInferenceBlackBoxRuleBased, said the same
    of 400 answers, one by one. Asked of examples that lack a class, it raises an IndexError: it
    takes the number of classes from the labels that it is given.
    """
    member = np.array([1] * 50 + [0] * 100) == 1
    correct = np.array([1] * 45 + [0] * 5 + [1] * 60 + [0] * 40, np.uint8)[:, None]
    attack = LabelOnly()
    scores = attack.score(
        attack.signal(correct, ANY), np.empty((0, 150, 1)), np.empty((0, 150)), ANY
    )
    assert auc(scores, member) == pytest.approx((1 + 0.9 - 0.6) / 2)
    fpr, tpr = roc(scores, member)
    np.testing.assert_allclose([fpr, tpr], [[0, 0.6, 1], [0, 0.9, 1]])
    assert tpr_at_fpr(fpr, tpr, 0.59) == 0


@pytest.mark.parametrize("num_views", [1, 2, 9])
def test_a_roc_curve_has_no_more_corners_than_there_are_views_and_one(num_views):
    rng = np.random.default_rng(0)
    share = LabelOnly().signal(rng.integers(0, 2, (500, num_views)), ANY)
    fpr, _ = roc(share[:, 0], rng.random(500) < 0.5)
    assert len(fpr) - 1 == num_views + 1  # and the corner (0, 0), which every curve has


def test_calibrated_scores_lack_what_models_trained_without_the_example_are_right_about():
    target = np.array([[1.0], [1.0], [0.5], [1.0]])
    shadows = np.array([[1, 0, 0.5, 1], [1, 0.5, 0, 1], [0, 1, 1, 1]])[:, :, None]
    member = np.array([[0, 0, 1, 1], [0, 0, 0, 1], [1, 1, -1, 1]])
    scores = LabelOnly(calibrate="out").score(target, shadows, member, ANY)
    np.testing.assert_array_equal(scores, [0, 0.75, 0.5, np.nan])


def test_calibration_finds_members_that_are_right_among_examples_of_different_hardness():
    rng = np.random.default_rng(1)
    member = (rng.random((8, 2000)) < 0.5).astype(np.int8)
    member[1::2] = 1 - member[::2]
    easy = np.where(rng.random(2000) < 0.5, 0.9, 0.1)
    right = rng.random((8, 2000, 4)) < np.minimum(easy + 0.1 * member, 1)[:, :, None]
    share = right.mean(axis=2, keepdims=True)

    def found(attack: LabelOnly) -> float:
        scores = attack.score_all(share, member, np.arange(8) ^ 1, ANY, {})
        return float(np.mean([auc(s, row == 1) for s, row in zip(scores, member, strict=True)]))

    plain, calibrated = found(LabelOnly()), found(LabelOnly(calibrate="out"))
    assert calibrated > plain + 0.05
