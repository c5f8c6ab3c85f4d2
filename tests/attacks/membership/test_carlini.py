"""LiRA as its authors' code has it."""

from typing import Literal

import numpy as np
import pytest

from attacks.membership.lira import Lira
from tests.made.shadows import (
    ANY,
    CARLINI,
    gaussian_answers,
    line,
    others,
    pairs,
    score_all,
)


@pytest.mark.parametrize("mode", ["online", "offline"])
@pytest.mark.parametrize("variance", ["per_example", "total"])
def test_the_authors_code_looks_at_no_more_shadows_than_every_example_has(
    mode: Literal["online", "offline"], variance: Literal["per_example", "total"]
):
    rng = np.random.default_rng(16)
    member = rng.integers(0, 2, (14, 50)).astype(np.int8)  # each on its own, so counts differ
    answers = gaussian_answers(member, 2, 1, rng)
    attack = Lira(preset="lira-carlini-code", mode=mode, variance=variance)
    expected = attack.score(answers[0], answers[1:], member[1:], ANY)
    for c in (0, 1):
        in_class = member[1:] == c
        beyond = in_class & (in_class.cumsum(axis=0) > in_class.sum(axis=0).min())
        assert beyond.any()
        answers[1:][beyond] += 1e3
    np.testing.assert_array_equal(attack.score(answers[0], answers[1:], member[1:], ANY), expected)


@pytest.mark.parametrize("attack", CARLINI, ids=line)
def test_what_no_shadow_judges_is_no_example_to_the_authors_code(attack: Lira):
    rng = np.random.default_rng(19)
    member = rng.integers(0, 2, (14, 60)).astype(np.int8)
    member[:, 40:] = -1  # as are images held out of the pool, and all but canaries
    member[0, 40:50] = 1  # nor does the target's own row make it one
    answers, partner = gaussian_answers(member, 2, 1, rng), np.arange(14)
    expected = attack.score(answers[0, :40], answers[1:, :40], member[1:, :40], ANY)
    assert np.isfinite(expected).all()
    alone = attack.score(answers[0], answers[1:], member[1:], ANY)
    np.testing.assert_array_equal(alone[:40], expected)
    together = score_all(attack, answers, member, partner)[0, :40]
    np.testing.assert_allclose(together, expected, rtol=1e-9)


def test_the_authors_fixed_variance_is_that_of_the_in_answers_twice():
    rng = np.random.default_rng(17)
    member, partner = pairs(8, 40, rng), np.arange(8) ^ 1
    answers = gaussian_answers(member, 2, 1, rng, num_views=1)
    code = Lira(preset="lira-carlini-code", variance="total")
    scores = score_all(code, answers, member, partner)
    own = score_all(Lira(variance="total", centre="median"), answers, member, partner)
    kept = others(0, partner)
    deviation = answers[kept][member[kept] == 1].std(dtype=np.float64)
    centres = [
        np.median([answers[s, 3, 0] for s in range(2, 8) if member[s, 3] == c]) for c in (0, 1)
    ]
    by_hand = np.square((answers[0, 3, 0] - np.array(centres)) / deviation)
    assert scores[0, 3] == pytest.approx((by_hand[0] - by_hand[1]) / 2)
    assert abs(scores - own).max() > 0.01


def test_offline_an_unsure_answer_is_a_member_to_the_authors_code_alone():
    rng = np.random.default_rng(18)
    shadows, out = rng.normal(0, 1, (8, 2, 1)), np.zeros((8, 2), np.int8)
    target = np.array([[-30.0], [1.0]])
    code = Lira(preset="lira-carlini-code", mode="offline").score(target, shadows, out, ANY)
    assert code[0] > code[1]
    corrected = Lira(mode="offline").score(target, shadows, out, ANY)
    assert corrected[0] < corrected[1]
