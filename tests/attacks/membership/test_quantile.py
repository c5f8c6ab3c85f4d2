import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from scipy.optimize import linprog, minimize
from scipy.stats import norm

from attacks.membership import by_halves, quantile
from attacks.membership.quantile import Quantile, pinball_fit
from runner.statistics.metrics import auc, roc, tpr_at_fpr
from tests import oracles
from tests.conftest import TINY
from tests.made.canaries import LEAN
from tests.made.experiments import refused


def pinball(rows: np.ndarray, values: np.ndarray, level: float, at: np.ndarray) -> float:
    """The sum of losses, one value at a time."""
    total = 0.0
    for row, value in zip(rows, values, strict=True):
        r = float(value - row @ at)
        total += level * r if r > 0 else (level - 1) * r
    return total


def data(num: int, num_columns: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows whose first column is 1, and values whose spread hangs on the second."""
    rng = np.random.default_rng(seed)
    rows = np.column_stack([np.ones(num), rng.normal(size=(num, num_columns - 1))])
    noise = rng.standard_t(3, num) * (1 + np.abs(rows[:, 1]))
    return rows, rows @ rng.normal(size=num_columns) + noise


@pytest.mark.parametrize("level", [0.05, 0.5, 0.9, 0.99])
def test_without_a_ridge_the_fit_is_what_linear_programming_finds(
    level: float, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(quantile, "RIDGE", 1e-12)
    rows, values = data(200, 5, 0)
    found = pinball_fit(rows, values, level)
    eye = np.eye(len(values))
    cost = np.concatenate([np.zeros(10), np.full(200, level), np.full(200, 1 - level)])
    best = linprog(cost, A_eq=np.hstack([rows, -rows, eye, -eye]), b_eq=values, method="highs")
    assert pinball(rows, values, level, found) == pytest.approx(best.fun, rel=1e-8)


@pytest.mark.parametrize("level", [0.5, 0.9])
def test_with_the_ridge_no_direction_lowers_the_loss(level: float):
    rows, values = data(60, 4, 1)
    found = pinball_fit(rows, values, level)

    def loss(at: np.ndarray) -> float:
        return pinball(rows, values, level, at) + quantile.RIDGE / 2 * float(at[1:] @ at[1:])

    least, rng = loss(found), np.random.default_rng(2)
    for size in (1e-5, 1e-3, 1e-1):
        steps = rng.normal(size=(50, 4)) * size
        assert min(loss(found + step) for step in steps) >= least - 1e-9


def test_of_heavy_tails_too_there_are_steps_enough(monkeypatch: pytest.MonkeyPatch):
    """With 60 the loss stayed 4 % above the least."""
    rng = np.random.default_rng(4)
    values, features = rng.standard_cauchy(3000), rng.standard_cauchy((3000, 3))
    rows = np.column_stack([np.ones(3000), features / features.std(axis=0)])
    found = pinball_fit(rows, values / values.std(), 0.999)
    monkeypatch.setattr(quantile, "MOST_STEPS", 10 * quantile.MOST_STEPS)
    np.testing.assert_array_equal(pinball_fit(rows, values / values.std(), 0.999), found)


def by_definition(
    target: np.ndarray, known: np.ndarray, label: np.ndarray, levels: tuple[float, ...]
) -> list[float]:
    """The scores of features (N, 1 + F), those of known ones among them, smoothly minimized."""
    told = target[known]
    centre, scale = told.mean(axis=0), told.std(axis=0)

    def row(i: int) -> list[float]:
        classes = [float(label[i] == c) for c in range(2)]
        return [1.0, *classes, *((target[i, 1:] - centre[1:]) / scale[1:])]

    rows = np.array([row(i) for i in range(len(target))])
    y = (target[:, 0] - centre[0]) / scale[0]
    fits = []
    for level in levels:
        at = np.zeros(rows.shape[1])
        for soft in (1e-1, 1e-2, 1e-3, 1e-4):

            def loss(b: np.ndarray, level: float = level, soft: float = soft) -> float:
                r = y[known] - rows[known] @ b
                return float(
                    np.sum(level * r + soft * np.logaddexp(0, -r / soft)) + b[1:] @ b[1:] / 2
                )

            for _ in range(3):
                at = minimize(loss, at, method="BFGS", options={"gtol": 1e-10}).x
        fits.append(rows @ at)
    scores = []
    typical = [np.median((b - a)[known]) for a, b in pairwise(fits)]
    for i in range(len(target)):
        points = [float(fit[i]) for fit in fits]
        for k, gap in enumerate(typical):
            points[k + 1] = max(points[k + 1], points[k] + max(0.1 * gap, 1e-3))
        z = [float(norm.ppf(level)) for level in levels]
        k = sum(y[i] > p for p in points[1:-1])
        share = (y[i] - points[k]) / (points[k + 1] - points[k])
        scores.append(z[k] + share * (z[k + 1] - z[k]))
    return scores


@pytest.mark.parametrize("levels", [(0.5, 0.9), (0.3, 0.6, 0.8)])
def test_scores_are_those_of_the_definition(levels: tuple[float, ...]):
    rng = np.random.default_rng(3)
    label, target = rng.integers(0, 2, 60), rng.normal(size=(60, 3)) * [2, 1, 3] + [5, 0, 1]
    target[:, 0] += target[:, 1] + label
    told = np.where(rng.random(60) < 0.6, 0, -1).astype(np.int8)
    examples = oracles.examples_of(label, 2)
    found = Quantile(levels=levels).score(target, target[None], told[None], examples)
    expected = by_definition(target, np.flatnonzero(told == 0), label, levels)
    np.testing.assert_allclose(found, expected, 0.01, 0.01)


def test_the_features_are_what_the_target_says_of_the_other_classes():
    logits = np.array([[3.0, 1.0, -1.0, 0.0], [2.0, 7.0, 5.0, 0.5]])
    examples = oracles.examples_of(np.array([0, 1]), 4)
    found = Quantile().signal(logits, examples)
    others = math.log(math.exp(1) + math.exp(-1) + math.exp(0))
    np.testing.assert_allclose(found[0], [3 - others, 1, 0, -1])
    np.testing.assert_allclose(found[1, 1:], [2.5, -0.5, -2.0])
    odds = np.array([[1.0, 3.0, 8.0]])
    np.testing.assert_array_equal(Quantile(features="views").signal(odds, examples), odds)
    np.testing.assert_array_equal(Quantile(features="label").signal(odds, examples), [[4.0]])
    binary = Quantile().signal(np.array([[1.0, 4.0]]), oracles.examples_of(np.array([0]), 2))
    np.testing.assert_allclose(binary, [[-3.0, 0.0]])


def world(num: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A row of members (N,), labels, log-odds of two views (N, 2), and the best score (N,).

    Classes differ in how sure the target is and in how much that scatters; the second view says how
    hard an example is; a member's first view is higher by 1.
    """
    rng = np.random.default_rng(seed)
    row, label = (rng.random(num) < 0.5).astype(np.int8), rng.integers(0, 4, num)
    hardness, noise = rng.normal(0, 3, num), rng.normal(0, 1, num) * (0.5 + label / 2)
    odds = np.column_stack([2.0 * label + hardness + noise + row, hardness])
    best = (odds[:, 0] - 2.0 * label - hardness) / (0.5 + label / 2)
    return row, label, odds, best


def test_non_members_exceed_each_level_as_often_as_it_says_in_every_class():
    row, label, odds, _ = world(12_000, 4)
    attack = Quantile(features="views")
    found = by_halves(attack, odds, row, oracles.examples_of(label, 4), 0)
    for level, value in ((0.5, 0.0), (0.9, norm.ppf(0.9))):
        assert np.mean(found[row == 0] > value) == pytest.approx(1 - level, abs=0.02)
        for c in range(4) if level == 0.5 else []:
            assert np.mean(found[(row == 0) & (label == c)] > value) == pytest.approx(0.5, abs=0.05)


def test_it_is_near_the_best_attack_where_features_tell_how_hard_examples_are():
    row, label, odds, best = world(8000, 5)
    examples = oracles.examples_of(label, 4)
    attacks = {"views": (Quantile(features="views"), odds)}
    attacks["label"] = Quantile(features="label"), odds[:, :1]
    of = {
        name: by_halves(attack, signals, row, examples, 0)
        for name, (attack, signals) in attacks.items()
    }
    member = row == 1
    known, views, alone, plain = (
        auc(scores, member) for scores in (best, of["views"], of["label"], odds[:, 0])
    )
    assert views == pytest.approx(known, abs=0.01)
    assert plain < alone < views - 0.1
    tpr_views, tpr_plain = (tpr_at_fpr(*roc(s, member), 0.01) for s in (of["views"], odds[:, 0]))
    assert tpr_views > 3 * tpr_plain


def test_too_few_known_non_members_are_refused():
    signals, examples = np.zeros((30, 1)), oracles.unlabelled(30)
    told = np.where(np.arange(30) < 19, 0, -1)[None].astype(np.int8)
    with pytest.raises(ValueError, match="expected 20 known non-members or more, got 19"):
        Quantile(features="label").score(signals, signals[None], told, examples)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"levels": (0.9, 0.5)}, "expected levels in rising order"),
        ({"levels": (0.5,)}, "expected a list of 2 or more, each a number above 0 and below 1"),
        ({"levels": (0.5, 1.0)}, "expected a number above 0 and below 1, got 1.0"),
    ],
)
def test_levels_that_are_none_are_refused(keys: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        Quantile(**keys)


def test_one_view_has_no_others_to_be_compared_with():
    with pytest.raises(ValueError, match=r"add answers\.views, or use `features: logits`"):
        Quantile(features="views").signal(np.zeros((3, 1)), oracles.unlabelled(3))


def test_who_is_told_coins_of_canaries_certifies_no_epsilon():
    design = {"name": "canaries", "num_models": 3, "canaries": {"num": 40}}
    attacks = {"attacks": {"told": {"name": "quantile"}}}
    why = refused({**TINY, **LEAN, "design": design, "membership": attacks})
    assert "a bound on epsilon holds for guesses that know none" in str(why)
