import math

import numpy as np
import pytest
from scipy.stats import norm

from attacks.membership import Examples
from attacks.membership.lira import Lira
from attacks.membership.pmia import PMIA
from runner.statistics.metrics import auc
from tests import oracles
from tests.attacks.membership import lira_oracle

PROXIES = ("difficulty", "class", "all")


def world(
    num_models: int, num_examples: int, seed: int, gap: float = 1.5
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Membership (M, N) int8 of complementary halves, log-odds (M, N, 2), and labels (N,)."""
    rng = np.random.default_rng(seed)
    member = np.zeros((num_models, num_examples), np.int8)
    member[::2] = rng.random((num_models // 2, num_examples)) < 0.5
    member[1::2] = 1 - member[::2]
    hardness = rng.normal(2, 3, (1, num_examples, 1))
    labels = rng.integers(0, 3, num_examples)
    odds = hardness + gap * (member == 1)[:, :, None] + rng.normal(0, 1, (*member.shape, 2))
    return member, odds, labels


def by_proxy(
    proxy: str, target: np.ndarray, shadows: np.ndarray, member: np.ndarray, labels: np.ndarray
) -> list[float]:
    """The scores of one target by the definition, one example and view at a time."""
    out = Lira(mode="offline", sides="two")
    without = lira_oracle.lira(out, target, shadows, member)
    num_examples, num_views = target.shape
    scores = []
    for i in range(num_examples):
        inside = []
        for v in range(num_views):
            alike, every = [], []
            for j in (j for j in range(num_examples) if j != i):
                answers = [shadows[s, j, v] for s in range(len(shadows)) if member[s, j] == 1]
                usual = usually(shadows[:, j, v], member[:, j]) if proxy == "difficulty" else 0.0
                if math.isnan(usual):
                    continue
                every += [a - usual for a in answers]
                if proxy == "class" and labels[j] != labels[i]:
                    continue
                if proxy == "difficulty":
                    mine = usually(shadows[:, i, v], member[:, i])
                    if step(mine) != step(usual):
                        continue
                alike += [a - usual for a in answers]
            weights = [1.0] * len(alike) + [1.0 / len(every)] * len(every)
            values = np.array(alike + every)
            mean = np.average(values, weights=weights)
            variance = np.average((values - mean) ** 2, weights=weights)
            base = usually(shadows[:, i, v], member[:, i]) if proxy == "difficulty" else 0.0
            inside.append(float(norm.logpdf(target[i, v], base + mean, math.sqrt(variance))))
        scores.append(np.mean(inside) + without[i])
    return scores


def usually(answers: np.ndarray, member: np.ndarray) -> float:
    """The mean answer of models without an example; NaN where there is none."""
    without = [float(a) for a, m in zip(answers, member, strict=True) if m == 0]
    return sum(without) / len(without) if without else math.nan


def step(odds: float) -> int:
    """Which difficulty a mean log-odds is of: 2 nats each, from -8 to 16, and both ends."""
    return -5 if odds < -8 else 8 if odds >= 16 else math.floor(odds / 2)


def all_at_once(
    attack: PMIA, odds: np.ndarray, member: np.ndarray, labels: np.ndarray, size: int = 13
) -> np.ndarray:
    """The scores of every model as target, from blocks of so many examples."""
    num, partner = len(labels), np.arange(len(odds)) ^ 1
    blocks: list[tuple[np.ndarray, np.ndarray, np.ndarray, Examples]] = []
    totals: dict[str, np.ndarray] = {}
    for start in range(0, num, size):
        part = slice(start, start + size)
        examples = Examples(np.arange(num)[part], labels[part], num, 3)
        blocks.append((odds[:, part], member[..., part], partner, examples))
        for key, values in attack.sums(*blocks[-1]).items():
            totals[key] = totals.get(key, 0) + values
    return np.concatenate([attack.score_all(*block, totals) for block in blocks], axis=1)


@pytest.mark.parametrize("proxy", PROXIES)
def test_scores_are_those_of_the_definition(proxy):
    member, odds, labels = world(12, 40, 0)
    member[5, :4] = -1
    labels[-1] = 2
    labels[:-1] %= 2  # of the last example's class there is no other
    attack, examples = PMIA(proxy=proxy), oracles.examples_of(labels, 3)
    found = all_at_once(attack, odds, member, labels)
    for m in (0, 9):
        others = [s for s in range(12) if s // 2 != m // 2]
        expected = by_proxy(proxy, odds[m], odds[others], member[others], labels)
        np.testing.assert_allclose(found[m], expected, 1e-6, 1e-6)
        alone = attack.score(odds[m], odds[others], member[others], examples)
        np.testing.assert_allclose(alone, found[m], 1e-9, 1e-9)


@pytest.mark.parametrize("proxy", PROXIES)
def test_no_shadow_has_to_hold_the_example(proxy):
    """The shadows of the paper's attacker: what they answer about x as its members is not used."""
    member, odds, labels = world(12, 60, 1)
    attack, examples = PMIA(proxy=proxy), oracles.examples_of(labels, 3)
    shadows, rows = odds[2:], member[2:].copy()
    rows[:, 7] = np.where(rows[:, 7] == 1, -1, rows[:, 7])
    changed = shadows.copy()
    changed[rows[:, 7] == -1, 7] = 100.0
    first, again = (attack.score(odds[0], each, rows, examples) for each in (shadows, changed))
    np.testing.assert_array_equal(first, again)
    assert np.isfinite(first).all()
    alone = attack.score(odds[0], shadows, member[2:], examples)[7]
    assert first[7] == pytest.approx(alone, rel=1e-9)


@pytest.mark.parametrize("proxy", PROXIES)
def test_shadows_of_each_target_apart_have_the_scores_of_the_definition(proxy):
    member, odds, labels = world(8, 30, 2)
    attack, examples = PMIA(proxy=proxy), oracles.examples_of(labels, 3)
    seen = np.tile(member, (8, 1, 1))
    for m in range(8):
        seen[m, [m, m ^ 1]] = -1
        seen[m, (m + 2) % 8, ::3] = -1
    found = all_at_once(attack, odds, seen, labels)
    expected = [attack.score(odds[m], odds, seen[m], examples) for m in range(8)]
    np.testing.assert_allclose(found, expected, 1e-7, 1e-9)


def test_proxies_of_like_difficulty_come_near_the_best_attack_where_the_others_do_not():
    """Normal answers with one gap for all: the best attack knows each example's two means."""
    member, odds, labels = world(34, 1500, 3, gap=1.0)
    aucs = {
        proxy: auc(all_at_once(PMIA(proxy=proxy), odds, member, labels, 1500)[0], member[0] == 1)
        for proxy in PROXIES
    }
    truth = auc((odds[0] - odds.mean(axis=0)).mean(axis=1), member[0] == 1)
    assert aucs["difficulty"] == pytest.approx(truth, abs=0.03)
    assert max(aucs["class"], aucs["all"]) < truth - 0.03
    assert min(aucs.values()) > 0.6
