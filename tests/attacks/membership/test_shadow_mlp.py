import math

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.neural_network import MLPClassifier

from attacks.membership.shadow_mlp import ShadowMLP, top_probabilities
from runner.statistics.metrics import auc
from tests import oracles

ANY = oracles.unlabelled(1)  # which examples they are does not matter to it
PROTOCOLS = ("respert-paper", "salem-paper", "salem-code")
SURE, UNSURE = 20, 5  # members' and non-members' parameter of the distribution below


def binary_world(
    num_models: int, num_examples: int, rng: np.random.Generator, sure: float = SURE
) -> tuple[np.ndarray, np.ndarray]:
    """Logits (M, N, 2) float32 and membership (M, N) int8.

    The larger probability is (1 + T) / 2 with T of density a t^(a-1): a is `sure` for members and
    5 for non-members. Their likelihood ratio rises with T, so no attack on T has an AUC above
    P(T of a member > T of a non-member) = sure / (sure + 5).
    """
    member = rng.integers(0, 2, (num_models, num_examples)).astype(np.int8)
    t = rng.random(member.shape) ** (1 / np.where(member == 1, sure, UNSURE))
    gap = np.log1p(t) - np.log1p(-t)
    sign = rng.choice([-1, 1], member.shape)
    return np.stack([sign * gap, np.zeros_like(gap)], axis=-1).astype(np.float32), member


def scores_of(
    attack: ShadowMLP, logits: np.ndarray, member: np.ndarray, seed: int = 0
) -> np.ndarray:
    """Scores of model 0, attacked with the others as shadows."""
    return attack.score(logits[0], logits[1:], member[1:], ANY, seed)


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_attack_reaches_the_best_auc_there_is(protocol, activation):
    logits, member = binary_world(2, 600, np.random.default_rng(0))
    scores = scores_of(ShadowMLP(protocol=protocol, activation=activation), logits, member)
    is_member = member[0] == 1
    of_the_likelihood_ratio = auc(np.abs(logits[0, :, 0]), is_member)
    assert auc(scores, is_member) == pytest.approx(of_the_likelihood_ratio, abs=0.005)
    best = SURE / (SURE + UNSURE)
    assert of_the_likelihood_ratio == pytest.approx(best, abs=4 * math.sqrt(0.25 / 600))
    assert scores.min() >= 0
    assert scores.max() <= 1


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_membership_that_leaves_no_trace_is_not_found(protocol):
    logits, member = binary_world(2, 600, np.random.default_rng(1), sure=UNSURE)
    num_in = int(member[0].sum())
    of_chance = math.sqrt(601 / (12 * num_in * (600 - num_in)))
    scores = scores_of(ShadowMLP(protocol=protocol), logits, member)
    assert auc(scores, member[0] == 1) == pytest.approx(0.5, abs=4 * of_chance)


def test_one_softmax_layer_ranks_as_logistic_regression_does():
    rng = np.random.default_rng(2)
    logits = rng.normal(0, 1, (2, 800, 10))
    member = rng.integers(0, 2, (2, 800)).astype(np.int8)
    logits[..., 0] += 1 + 3 * member
    shadow, target = (top_probabilities(one, 3) for one in (logits[1], logits[0]))
    fitted = LogisticRegression(C=1e6 / 800, max_iter=5000).fit(shadow, member[1])
    expected = fitted.predict_proba(target)[:, 1]
    scores = scores_of(ShadowMLP(protocol="salem-code"), logits, member)
    ranks = [np.argsort(np.argsort(each)) for each in (scores, expected)]
    assert np.min(np.corrcoef(ranks)) > 0.95
    assert auc(scores, member[0] == 1) == pytest.approx(auc(expected, member[0] == 1), abs=0.02)


def test_the_code_of_salem_et_al_is_two_softmax_units_trained_by_adam():
    """Ten rows are one batch, so 50 epochs are 50 steps, in whatever order the rows come."""
    rng = np.random.default_rng(15)
    logits, member = rng.normal(0, 2, (1, 10, 5)), np.array([[0, 1] * 5])
    rows, labels = top_probabilities(logits[0], 3), member[0]
    seed = int(np.random.SeedSequence(3).generate_state(1)[0])
    unmoved = MLPClassifier((), learning_rate_init=1e-30, random_state=seed)
    unmoved.partial_fit(rows, labels, classes=[0, 1])
    apart = np.append(unmoved.coefs_[0][:, 0], unmoved.intercepts_[0])
    units = np.stack([-apart / 2, apart / 2], axis=1)  # weights of out and in, the biases last
    inputs, truth = np.column_stack([rows, np.ones(10)]), np.eye(2)[labels]
    mean, square = np.zeros_like(units), np.zeros_like(units)
    for step in range(1, 51):
        odds = np.exp(inputs @ units)
        gradient = inputs.T @ (odds / odds.sum(axis=1, keepdims=True) - truth) / 10
        gradient[:-1] += 2 * 1e-6 * units[:-1]
        mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient**2
        units -= 0.01 * (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)
    odds = np.exp(inputs @ units)
    scores = ShadowMLP(protocol="salem-code").score(logits[0], logits, member, ANY, seed=3)
    np.testing.assert_allclose(scores, (odds / odds.sum(axis=1, keepdims=True))[:, 1], 1e-6)


def test_the_features_are_the_largest_probabilities_in_falling_order():
    logits = np.random.default_rng(3).normal(0, 5, (20, 6))
    for row, features in zip(logits, top_probabilities(logits, 3), strict=True):
        total = math.fsum(math.exp(x) for x in row)
        expected = sorted((math.exp(x) / total for x in row), reverse=True)[:3]
        assert features == pytest.approx(expected, rel=1e-12)


def test_log_probabilities_and_huge_logits_have_the_same_features():
    logits = np.random.default_rng(4).normal(0, 5, (20, 6))
    expected = top_probabilities(logits, 3)
    log_probabilities = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    np.testing.assert_allclose(top_probabilities(log_probabilities, 3), expected, 1e-12)
    np.testing.assert_allclose(top_probabilities(logits + 1e5, 3), expected, 1e-9)


def test_two_classes_have_two_features():
    features = top_probabilities(np.array([[0.0, math.log(3)]], np.float64), 3)
    assert features == pytest.approx(np.array([[0.75, 0.25]]))


def test_the_order_of_the_classes_changes_no_bit():
    rng = np.random.default_rng(5)
    logits, member = rng.normal(0, 2, (2, 200, 10)), rng.integers(0, 2, (2, 200))
    expected = scores_of(ShadowMLP(), logits, member)
    permuted = logits[:, :, rng.permutation(10)]
    np.testing.assert_array_equal(scores_of(ShadowMLP(), permuted, member), expected)


def test_an_example_scores_the_same_whatever_else_the_target_is_asked():
    logits, member = binary_world(2, 200, np.random.default_rng(6))
    expected = scores_of(ShadowMLP(), logits, member)
    logits[0, 1:] = 7
    assert scores_of(ShadowMLP(), logits, member)[0] == pytest.approx(expected[0], rel=1e-12)


def test_examples_that_are_not_judged_are_not_learned_from():
    logits, member = binary_world(2, 200, np.random.default_rng(7))
    member[1, :50] = -1
    expected = scores_of(ShadowMLP(), logits, member)
    logits[1, :50] = [1e30, -1e30]
    np.testing.assert_array_equal(scores_of(ShadowMLP(), logits, member), expected)


def test_only_the_first_shadows_are_used():
    logits, member = binary_world(5, 200, np.random.default_rng(8))
    two = ShadowMLP(num_shadows=2)
    expected = scores_of(two, logits, member)
    changed = logits.copy()
    changed[3:] = 0
    np.testing.assert_array_equal(scores_of(two, changed, member), expected)
    changed[2] = 0
    assert np.abs(scores_of(two, changed, member) - expected).max() > 0.01


def test_a_seed_fixes_every_bit_and_another_seed_changes_the_scores():
    logits, member = binary_world(2, 200, np.random.default_rng(9))
    first, again, other = (scores_of(ShadowMLP(), logits, member, s) for s in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-6


def test_restarts_keep_the_training_that_fits_the_shadow_best():
    logits, member = binary_world(1, 300, np.random.default_rng(10), sure=6)
    labels = member[0] == 1

    def loss(restarts: int, seed: int) -> float:
        attack = ShadowMLP(restarts=restarts)
        return log_loss(labels, attack.score(logits[0], logits, member, ANY, seed))

    losses = np.array([[loss(restarts, seed) for restarts in (1, 3)] for seed in range(3)])
    assert np.all(losses[:, 1] <= losses[:, 0])
    assert losses[:, 1].sum() < losses[:, 0].sum() - 0.001


def test_relu_dies_on_a_weak_signal_at_the_seed_papers_learning_rate_and_tanh_does_not():
    logits, member = binary_world(2, 2000, np.random.default_rng(11), sure=5.5)
    is_member = member[0] == 1
    assert np.ptp(scores_of(ShadowMLP(activation="relu"), logits, member)) < 1e-9
    assert auc(scores_of(ShadowMLP(), logits, member), is_member) > 0.52


@pytest.mark.parametrize("answer", [0, 1, -1])
def test_a_shadow_without_both_classes_is_refused(answer):
    logits, member = binary_world(2, 20, np.random.default_rng(12))
    member[1] = answer
    with pytest.raises(ValueError, match="members and non-members in every shadow"):
        scores_of(ShadowMLP(), logits, member)


def test_too_few_shadows_are_refused():
    logits, member = binary_world(3, 20, np.random.default_rng(13))
    with pytest.raises(ValueError, match="expected 3 shadows or more, got 2"):
        scores_of(ShadowMLP(num_shadows=3), logits, member)


def test_shapes_that_do_not_fit_are_refused():
    logits, member = binary_world(3, 20, np.random.default_rng(14))
    with pytest.raises(ValueError, match="expected logits"):
        ShadowMLP().score(logits[0, :19], logits[1:], member[1:], ANY)
    with pytest.raises(ValueError, match="expected logits"):
        ShadowMLP().score(logits[0], logits[1:], member, ANY)


def test_facts_for_the_runner_are_no_keys():
    assert set(ShadowMLP.model_fields) == {
        *("name", "views", "protocol", "top", "shadow_arm", "num_shadows", "activation", "restarts")
    }
    assert (ShadowMLP.per_target, ShadowMLP.calibrated) == (True, True)
    assert ShadowMLP().reads == "logits"
