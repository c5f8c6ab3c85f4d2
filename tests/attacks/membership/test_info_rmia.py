import math

import numpy as np
import pytest

from attacks.membership import Examples
from attacks.membership.info_rmia import InfoRMIA
from attacks.membership.rmia import RMIA
from runner.statistics.metrics import auc
from tests import oracles

MODES = ("online", "offline")


def world(num_models: int, num_examples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Membership (M, N) int8 of complementary halves, and log-odds (M, N, 2)."""
    rng = np.random.default_rng(seed)
    member = np.zeros((num_models, num_examples), np.int8)
    member[::2] = rng.random((num_models // 2, num_examples)) < 0.5
    member[1::2] = 1 - member[::2]
    member[1:4, :3] = -1
    hardness = rng.normal(0, 2, (1, num_examples, 2))
    odds = hardness + 1.5 * (member == 1)[:, :, None] + rng.normal(0, 1, (*member.shape, 2))
    return member, odds


def informed(
    mode: str, target: np.ndarray, shadows: np.ndarray, member: np.ndarray, a: float
) -> list[float]:
    """The scores of one target from log-odds, one example at a time, by the definition."""
    bits, weights = [], []
    for i in range(len(target)):
        p = [sum(1 / (1 + math.exp(-v)) for v in said[i]) / len(said[i]) for said in shadows]
        kinds = (0,) if mode == "offline" else (0, 1)
        known = [p[s] for s in range(len(shadows)) if member[s, i] in kinds]
        expected = sum(known) / len(known)
        if mode == "offline":
            expected = ((1 + a) * expected + (1 - a)) / 2
        of_target = sum(1 / (1 + math.exp(-v)) for v in target[i]) / len(target[i])
        bits.append(math.log(of_target / expected, 2))
        weights.append(expected)
    total = sum(weights)
    divergence = sum(w / total * -b for w, b in zip(weights, bits, strict=True))
    return [b + divergence for b in bits]


def all_at_once(
    attack: InfoRMIA, odds: np.ndarray, member: np.ndarray, size: int = 7
) -> np.ndarray:
    """The scores of every model as target, from blocks of so many examples."""
    num, partner = odds.shape[1], np.arange(len(odds)) ^ 1
    blocks: list[tuple[np.ndarray, np.ndarray, np.ndarray, Examples]] = []
    totals: dict[str, np.ndarray] = {}
    for start in range(0, num, size):
        part, number = slice(start, start + size), np.arange(num)[start : start + size]
        examples = Examples(number, np.zeros(len(number), int), num, 10)
        signals = np.stack([attack.signal(said[part], examples) for said in odds])
        blocks.append((signals, member[:, part], partner, examples))
        for key, values in attack.sums(*blocks[-1]).items():
            totals[key] = totals.get(key, 0) + values
    return np.concatenate([attack.score_all(*block, totals) for block in blocks], axis=1)


@pytest.mark.parametrize("mode", MODES)
def test_scores_are_those_of_the_definition(mode):
    member, odds = world(12, 50, 0)
    attack, examples = InfoRMIA(mode=mode), oracles.unlabelled(50)
    found = all_at_once(attack, odds, member)
    signals = np.stack([attack.signal(said, examples) for said in odds])
    for m in (0, 5):
        others = [s for s in range(12) if s // 2 != m // 2]
        expected = informed(mode, odds[m], odds[others], member[others], 0.3)
        np.testing.assert_allclose(found[m], expected, 1e-11, 1e-12)
        alone = attack.score(signals[m], signals[others], member[others], examples)
        np.testing.assert_allclose(alone, expected, 1e-11, 1e-12)


def test_a_target_that_answers_as_its_references_do_scores_nothing():
    odds = np.broadcast_to(np.linspace(-4, 4, 30)[None, :, None], (8, 30, 1))
    member = np.zeros((8, 30), np.int8)
    member[::2] = 1
    np.testing.assert_allclose(all_at_once(InfoRMIA(), odds, member), 0, atol=1e-12)


def test_the_divergence_takes_out_what_a_target_is_surer_of_throughout():
    """A target that gives every label twice its probability has gained of no example."""
    p, member = np.linspace(0.1, 0.4, 30), np.zeros((8, 30), np.int8)
    odds = np.broadcast_to(np.log(p / (1 - p))[None, :, None], (8, 30, 1)).copy()
    odds[0, :, 0] = np.log(2 * p / (1 - 2 * p))
    np.testing.assert_allclose(all_at_once(InfoRMIA(), odds, member)[0], 0, atol=1e-12)


@pytest.mark.parametrize("mode", MODES)
def test_within_a_target_its_order_is_that_of_rmia_without_ties(mode):
    member, odds = world(8, 400, 1)
    informing, examples = all_at_once(InfoRMIA(mode=mode), odds, member), oracles.unlabelled(400)
    counting = RMIA(mode=mode, num_z=50)
    signals = np.stack([counting.signal(said, examples) for said in odds])
    partner = np.arange(8) ^ 1
    totals = counting.sums(signals, member, partner, examples)
    wins = counting.score_all(signals, member, partner, examples, totals)
    rest = np.setdiff1d(np.arange(400), counting.places(400))
    assert (np.diff(wins[0, rest][np.argsort(informing[0, rest])]) >= 0).all()
    assert len(np.unique(informing[0])) == 400
    assert len(np.unique(wins[0])) < 110


def test_what_has_no_reference_is_neither_judged_nor_among_z():
    member, odds = world(8, 40, 2)
    member[:, 7] = 1
    found = all_at_once(InfoRMIA(mode="offline"), odds, member)
    assert np.isnan(found[:, 7]).all()
    rest = np.delete(np.arange(40), 7)
    without = all_at_once(InfoRMIA(mode="offline"), odds[:, rest], member[:, rest])
    np.testing.assert_allclose(found[:, rest], without, 1e-11, 1e-12)


def test_it_orders_answers_as_the_best_attack_does_where_all_examples_are_alike():
    """One hardness and one spread: the likelihood ratio rises with the target's log-odds."""
    rng = np.random.default_rng(3)
    member, _ = world(64, 2000, 4)
    odds = (member == 1)[:, :, None] * 1.0 + rng.normal(0, 1, (*member.shape, 1))
    for mode in MODES:
        found = all_at_once(InfoRMIA(mode=mode), odds, member, 2000)
        judged = member[0] >= 0
        best = auc(odds[0, judged, 0], member[0, judged] == 1)
        assert auc(found[0, judged], member[0, judged] == 1) == pytest.approx(best, abs=0.02)


def test_a_key_that_would_say_nothing_is_refused():
    with pytest.raises(ValueError, match="`a` is of mode offline"):
        InfoRMIA(a=0.3)
