"""RMIA's ratios: the Taylor softmax, and who wins against whom."""

import math

import numpy as np
import pytest

from attacks.membership._relative import taylor_softmax


def polynomial(t: float, degree: int) -> float:
    return math.fsum(t**k / math.factorial(k) for k in range(degree + 1))


def taylor(logits: np.ndarray, label: int, temperature: float, degree: int) -> float:
    """The soft-margin Taylor softmax of logits (C,) as they come, by its definition."""
    t = [float(x) / temperature for x in logits]
    of_label = polynomial(t[label] - 0.6, degree)
    others = (polynomial(x, degree) for i, x in enumerate(t) if i != label)
    return of_label / (of_label + math.fsum(others))


def test_the_taylor_softmax_is_its_definition_of_centred_logits():
    rng = np.random.default_rng(7)
    logits, labels = rng.normal(1, 5, (40, 2, 6)), rng.integers(0, 6, 40)
    found = taylor_softmax(logits, labels, 2.0, 0.6)
    for (i, v), p in np.ndenumerate(found):
        centred = logits[i, v] - logits[i, v].mean()
        assert p == pytest.approx(taylor(centred, int(labels[i]), 2.0, degree=4), rel=1e-10)
    assert found.min() > 0
    assert found.max() < 1
    given = logits - np.logaddexp.reduce(logits, axis=2, keepdims=True)
    np.testing.assert_allclose(taylor_softmax(given, labels, 2.0, 0.6), found, 1e-9)


def test_the_cubic_of_the_research_code_gives_probabilities_outside_of_0_and_1():
    """research/2024_rmia/signals.py of privacy_meter sums the powers below its `taylor_n` of 4."""
    logits = np.array([1.0, -5, -5, -5])
    assert taylor(logits, 0, 1.0, degree=3) < 0
    assert taylor(np.array([4.0, -3, -3, -3]), 0, 1.0, degree=3) > 1
    assert 0 < taylor(logits, 0, 1.0, degree=4) < 1


def test_log_probabilities_as_they_come_would_turn_the_research_codes_signal_around():
    rng = np.random.default_rng(8)
    sure, unsure = (np.append(gap, rng.normal(0, 0.1, 9)) for gap in (20.0, 2.0))
    as_they_come = [
        taylor(row - np.logaddexp.reduce(row), 0, 2.0, degree=4) for row in (sure, unsure)
    ]
    assert as_they_come[0] < as_they_come[1]
    centred = taylor_softmax(np.stack([sure, unsure])[:, None], np.zeros(2, int), 2.0, 0.6)
    assert centred[0, 0] > centred[1, 0]
