import numpy as np
import pytest

from attacks.membership import log_odds


def test_log_odds_of_two_classes_are_the_difference_of_logits():
    logits = np.array([[2.0, -1.0], [0.5, 4.0]])
    assert log_odds(logits, np.array([0, 0])) == pytest.approx([3.0, -3.5])


def test_log_odds_are_those_of_the_softmax():
    logits = np.random.default_rng(0).normal(size=(50, 7))
    labels = np.arange(50) % 7
    p = (np.exp(logits) / np.exp(logits).sum(1, keepdims=True))[np.arange(50), labels]
    assert log_odds(logits, labels) == pytest.approx(np.log(p / (1 - p)))


def test_log_odds_stay_finite_when_the_model_is_certain():
    assert log_odds(np.array([[1e4, 0.0]]), np.array([0])) == pytest.approx([1e4])


def test_log_odds_need_two_classes():
    with pytest.raises(ValueError, match="two classes"):
        log_odds(np.zeros((3, 1)), np.zeros(3, int))
